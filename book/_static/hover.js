// A link to an equation, a theorem, a term or a work shows it in a card while the pointer or the
// focus is on it. The card is cut from the page that the link leads to; in a book that is opened as
// a file it cannot be read, and there are none. A line of the equation map leads on to the equation.
const pages = new Map();
const WAIT = 250; // ms, so that a pointer that passes by opens nothing
const SHOWN = "dt, div.math, div.proof, div.admonition, figure, table, [role=listitem]";
let card, waiting;

function page(address) {
  if (!pages.has(address))
    pages.set(
      address,
      fetch(address)
        .then((answer) => answer.text())
        .then((text) => new DOMParser().parseFromString(text, "text/html")),
    );
  return pages.get(address);
}

async function found({ origin, pathname, hash }) {
  const here = pathname === location.pathname;
  const source = here ? document : await page(origin + pathname);
  const marked = source.getElementById(decodeURIComponent(hash.slice(1)));
  if (marked?.id.startsWith("map-")) {
    const place = marked.closest("tr").querySelector(`a[href$="#${marked.id.slice(4)}"]`);
    return found(new URL(place.getAttribute("href"), origin + pathname));
  }
  const shown =
    marked?.closest(SHOWN) ??
    marked?.querySelector(":scope > :is(div.math, figure, table)") ??
    (marked?.id.startsWith("eq-") ? marked.closest("p") : null); // which says what the next shows
  if (!shown) return null;
  bringMathJax(source, origin + pathname);
  const parts = [shown, ...(shown.matches("dt, p") ? [shown.nextElementSibling] : [])];
  return parts.filter(Boolean).map((part) => clean(part.cloneNode(true), origin + pathname));
}

// A page without equations has not loaded what sets them: the page that a card is cut from tells what.
function bringMathJax(source, base) {
  if (window.MathJax) return;
  for (const script of source.querySelectorAll("script")) {
    const [path, text] = [script.getAttribute("src"), script.textContent];
    if (!path?.includes("/mathjax/") && !text.startsWith("window.MathJax")) continue;
    const brought = Object.assign(document.createElement("script"), { text });
    if (path) brought.src = new URL(path, base);
    document.head.append(brought);
  }
}

// A card has no second copy of a name, nor links that lead on from another page's place.
function clean(part, base) {
  for (const each of [part, ...part.querySelectorAll("[id]")]) each.removeAttribute("id");
  for (const each of part.querySelectorAll("a.headerlink, audio, script, .copybtn")) each.remove();
  for (const link of part.querySelectorAll("a[href]")) link.href = new URL(link.getAttribute("href"), base);
  for (const image of part.querySelectorAll("img[src]")) image.src = new URL(image.getAttribute("src"), base);
  return part;
}

function put(link, parts) {
  card = document.createElement("aside");
  card.className = "hover-card bd-article";
  card.id = "hover-card";
  card.setAttribute("role", "tooltip");
  card.append(...parts);
  document.body.append(card);
  link.setAttribute("aria-describedby", card.id);
  const { left, top, bottom } = link.getBoundingClientRect();
  const below = bottom + card.offsetHeight + 8 < innerHeight;
  card.style.left = `${Math.max(8, Math.min(left, innerWidth - card.offsetWidth - 8))}px`;
  card.style.top = `${scrollY + (below ? bottom + 6 : Math.max(8 - scrollY, top - card.offsetHeight - 6))}px`;
  if (parts.some((part) => !part.querySelector("mjx-container"))) window.MathJax?.typesetPromise?.([card]);
}

function close() {
  clearTimeout(waiting);
  document.querySelector("[aria-describedby=hover-card]")?.removeAttribute("aria-describedby");
  card?.remove();
  card = null;
}

function open({ target }) {
  if (!(target instanceof Element) || target.closest(".hover-card")) return;
  const link = target.closest("article a.internal[href*='#']:not(.headerlink)");
  close();
  if (!link) return;
  waiting = setTimeout(async () => {
    const parts = await found(new URL(link.href)).catch(() => null);
    if (parts && link.matches(":hover, :focus")) {
      close();
      put(link, parts);
    }
  }, WAIT);
}

document.addEventListener("pointerover", open);
document.addEventListener("focusin", open);
document.addEventListener("keydown", ({ key }) => key === "Escape" && close());
