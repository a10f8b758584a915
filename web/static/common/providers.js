// The names of providers, as people read them; the page's template knows them.

const titles = JSON.parse(document.body.dataset.providerTitles);

export function providerTitle(name) {
  return titles[name] ?? name;
}
