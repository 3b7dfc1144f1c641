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

// Nor does it say which of several buttons is chosen.
function nameButtons() {
  for (const group of document.querySelectorAll(".widget-toggle-buttons")) {
    const label = group.querySelector(".widget-label")?.textContent;
    if (!group.hasAttribute("role")) group.setAttribute("role", "group");
    if (label && group.getAttribute("aria-label") !== label) group.setAttribute("aria-label", label);
    for (const button of group.querySelectorAll(".widget-toggle-button")) {
      const chosen = String(button.classList.contains("mod-active"));
      if (button.getAttribute("aria-pressed") !== chosen) button.setAttribute("aria-pressed", chosen);
    }
  }
}

// What is shown now, in the words of its picture, for those who moved something and listen.
const announcement = document.createElement("div");
announcement.className = "visually-hidden";
announcement.setAttribute("role", "status");

function announce() {
  const area = document.activeElement.closest(".widget-subarea");
  const shown = [...(area?.querySelectorAll("img[alt]") ?? [])].find((each) => each.checkVisibility());
  if (shown && announcement.textContent !== shown.alt) announcement.textContent = shown.alt;
}

function nameAll() {
  nameSliders();
  nameButtons();
  announce();
}

document.addEventListener("DOMContentLoaded", () => {
  // The button for the search is named by its text, which its label would hide.
  document.querySelector(".search-button-field")?.removeAttribute("aria-label");
  document.body.append(announcement);
  nameAll();
  new MutationObserver(nameAll).observe(document.body, {
    attributeFilter: ["aria-valuetext", "class"],
    characterData: true,
    childList: true,
    subtree: true,
  });
});
