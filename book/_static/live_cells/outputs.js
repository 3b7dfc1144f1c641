// What a cell gives, as elements of the page. It is the reader's own code: its HTML is shown as it is.
import { markdown } from "./markdown.js";

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

const block = (className) => (text) => element("div", { className: `output ${className}` }, element("pre", {}, text));

// Sliders that Python follows: `moved` asks it for what an explorer shows then.
function explorer(told, moved) {
  const { name, sliders, shown } = JSON.parse(told);
  const frame = element("div", { innerHTML: shown });
  const controls = sliders.map(({ name: label, labels, at }, n) => {
    const value = element("output", {}, labels[at]);
    const slider = element("input", { type: "range", min: 0, max: labels.length - 1, value: at, ariaLabel: label });
    const say = () => {
      slider.ariaValueText = value.textContent = labels[slider.value];
    };
    say();
    slider.addEventListener("input", say);
    slider.addEventListener("change", async () => {
      frame.innerHTML = await moved(name, n, slider.valueAsNumber);
    });
    return element("label", {}, `${label} `, slider, value);
  });
  return element("div", { className: "output live-explorer" }, ...controls, frame);
}

const asHtml = (html) => element("div", { className: "output text_html", innerHTML: html });

const MAKE = {
  text: block("stream"),
  error: block("live-error"),
  html: asHtml,
  markdown: (text) => asHtml(markdown(text)),
  png: (data) => element("img", { alt: "The figure that this cell has drawn", src: `data:image/png;base64,${data}` }),
  explorer,
};

export function addOutput(area, { kind, text }, moved) {
  const last = area.lastElementChild;
  if (kind === "clear") area.replaceChildren(area.firstElementChild);
  else if (kind === "text" && last.matches(".stream")) last.firstChild.append(text);
  else {
    area.append(MAKE[kind](text, moved));
    window.MathJax?.typesetPromise?.([area.lastElementChild]);
  }
}
