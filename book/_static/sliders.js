// ipywidgets draws a slider as an element with the role of a slider, but gives it no name and
// reads out its position in place of the value. Both stand beside it: name it after its label,
// and let its value be the text of its readout.
function nameSliders() {
  for (const widget of document.querySelectorAll(".widget-slider")) {
    const handle = widget.querySelector("[role=slider]");
    const label = widget.querySelector(".widget-label")?.textContent;
    const value = widget.querySelector(".widget-readout")?.textContent;
    if (!handle) continue;
    if (label && handle.getAttribute("aria-label") !== label) handle.setAttribute("aria-label", label);
    if (value && handle.getAttribute("aria-valuetext") !== value) handle.setAttribute("aria-valuetext", value);
  }
}

document.addEventListener("DOMContentLoaded", () => {
  // The button for the search is named by its text, which its label would hide.
  document.querySelector(".search-button-field")?.removeAttribute("aria-label");
  nameSliders();
  new MutationObserver(nameSliders).observe(document.body, {
    attributeFilter: ["aria-valuetext"],
    characterData: true,
    childList: true,
    subtree: true,
  });
});
