// The names of providers, as people read them, and which of them clone; the page's template knows them.

const { providerTitles, cloners } = document.body.dataset;
const titles = JSON.parse(providerTitles);

/** Who speaks with the voice of a sample. */
export const CLONERS = JSON.parse(cloners);

export function providerTitle(name) {
  return titles[name] ?? name;
}
