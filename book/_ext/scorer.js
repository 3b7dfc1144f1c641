// What the search finds stands in this order: chapters, other pages, the reference of the package; a
// page that is called as one asks stands before all. The search itself takes this in (Sphinx).
var Scorer = {
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,

  score: ([page, title, anchor, , score]) => {
    const asked = new URLSearchParams(location.search).get("q").trim().toLowerCase();
    const name = title.split(": ")[0].toLowerCase();
    const called = !anchor && [name, `a ${name}`].includes(asked) ? 1000 : 0;
    const below = /^book\/reference\/api/.test(page) ? 200 : /^book\/reference/.test(page) ? 100 : 0;
    return score + called - below;
  },
};
