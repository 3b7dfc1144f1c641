// A figure that is moved sideways, on a phone or in a narrow window, can have the focus there, so
// that keys move it as well. The theme sees to this for code and plain output.
function reachWhatScrolls() {
  for (const box of document.querySelectorAll("figure, .widget-box, .widget-html-content")) {
    const scrolls = box.scrollWidth > box.clientWidth && getComputedStyle(box).overflowX !== "visible";
    if (scrolls) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

document.addEventListener("DOMContentLoaded", () => {
  new ResizeObserver(reachWhatScrolls).observe(document.body);
});

// What a link leads to is shown, though it be folded away.
function unfold() {
  const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const folds = [];
  for (let each = place?.closest("details"); each; each = each.parentElement.closest("details")) folds.push(each);
  for (const fold of folds) fold.open = true;
  if (folds.length) place.scrollIntoView();
}

document.addEventListener("DOMContentLoaded", unfold);
addEventListener("hashchange", unfold);
