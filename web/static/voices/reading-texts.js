// What to read aloud for a voice sample: some fifteen seconds of plain speech with a question in it.

const TEXTS = {
  de: "Den besten Kaffee der Stadt kocht ein alter Seemann. Jeden Morgen öffnet er die blaue Tür, summt ein Lied und fragt, wie das Wetter draußen auf See war. Wer bliebe da nicht kurz stehen, nur um die Antwort zu hören?",
  en: "The best coffee in town is made by an old sailor. Every morning he opens the blue door, hums a quick tune, and asks what the weather did out at sea. Who would not stop for a moment, just to hear the answer?",
  es: "El mejor café de la ciudad lo prepara un viejo marinero. Cada mañana abre la puerta azul, tararea una canción y pregunta qué tiempo hizo en alta mar. ¿Quién no se detendría un momento, solo para oír la respuesta?",
  fr: "Le meilleur café de la ville est préparé par un vieux marin. Chaque matin, il ouvre la porte bleue, fredonne un air et demande quel temps il a fait en mer. Qui ne s'arrêterait pas un instant, juste pour entendre la réponse ?",
  it: "Il miglior caffè della città lo prepara un vecchio marinaio. Ogni mattina apre la porta azzurra, canticchia una canzone e chiede che tempo ha fatto in mare. Chi non si fermerebbe un momento, solo per sentire la risposta?",
  nl: "De beste koffie van de stad wordt gezet door een oude zeeman. Elke ochtend opent hij de blauwe deur, neuriet een liedje en vraagt wat voor weer het op zee was. Wie zou niet even blijven staan, alleen om het antwoord te horen?",
  pt: "O melhor café da cidade é feito por um velho marinheiro. Todas as manhãs ele abre a porta azul, cantarola uma canção e pergunta como esteve o tempo no mar. Quem não pararia um momento, só para ouvir a resposta?",
};

/** Gives a text and its language: that of the BCP 47 tag where there is one, else English. */
export function readingText(tag) {
  const language = tag.split("-")[0];
  return language in TEXTS ? { language, text: TEXTS[language] } : { language: "en", text: TEXTS.en };
}
