// What was found: each sound with its player and its picture, and the table of events.
const COLOURS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
const MOST_EVENTS = 500;

function colour(level) {
  const place = (level / 255) * (COLOURS.length - 1);
  const n = Math.min(Math.floor(place), COLOURS.length - 2);
  return COLOURS[n].map((low, c) => low + (place - n) * (COLOURS[n + 1][c] - low));
}

const PALETTE = Array.from({ length: 256 }, (_, level) => colour(level));

function picture({ name, picture: levels, columns }, { rows, highest }) {
  const canvas = Object.assign(document.createElement("canvas"), { width: columns, height: rows });
  canvas.setAttribute("role", "img");
  canvas.ariaLabel = `Spectrogram of ${name}, from 0 to ${(highest / 1000).toFixed(1)} kHz`;
  const image = new ImageData(columns, rows);
  levels.forEach((level, n) => image.data.set([...PALETTE[level], 255], 4 * n));
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export const blobOf = (bytes, type) => URL.createObjectURL(new Blob([bytes], { type }));

function player(sound, scope) {
  const audio = element("audio", { controls: true, src: blobOf(sound.wav, "audio/wav"), ariaLabel: sound.name });
  audio.ontimeupdate = () => scope.style.setProperty("--position", audio.currentTime / audio.duration);
  return audio;
}

function row(sound, shown) {
  const scope = element("div", { className: "scope" }, picture(sound, shown));
  const audio = player(sound, scope);
  const share = `${(100 * sound.share).toFixed(1)} % of the energy`;
  const file = `${sound.name.replace(" ", "_")}.wav`;
  const link = element("a", { href: audio.src, download: file, ariaLabel: `WAV of ${sound.name}` }, "WAV");
  const words = element("p", {}, element("strong", {}, sound.name), ` ${share} `, link);
  return element("li", {}, words, scope, audio);
}

// What is heard goes on in the sound that takes its place.
export function showSounds(list, shown) {
  const before = [...list.querySelectorAll("audio")];
  const heard = before.findIndex((audio) => !audio.paused);
  const position = before[heard]?.currentTime;
  for (const audio of before) URL.revokeObjectURL(audio.src);
  list.replaceChildren(...shown.sounds.map((sound) => row(sound, shown)));
  const next = list.querySelectorAll("audio")[heard];
  if (!next) return;
  next.currentTime = position;
  next.play();
}

const DIGITS = [2, 2, 0, 1, 0, 0, 2];

export function showEvents(body, rows) {
  const cells = ([begin, end, component, ...others]) =>
    [begin, end, component + 1, ...others].map((value, n) => element("td", {}, value.toFixed(DIGITS[n])));
  body.replaceChildren(...rows.slice(0, MOST_EVENTS).map((each) => element("tr", {}, ...cells(each))));
  const more = rows.length - MOST_EVENTS;
  if (more > 0) body.append(element("tr", {}, element("td", { colSpan: 7 }, `and ${more} more: see the CSV`)));
}

// One sound plays at a time.
export function playAlone() {
  const others = (audio) => [...document.querySelectorAll("audio")].filter((each) => each !== audio);
  document.addEventListener("play", ({ target }) => others(target).forEach((audio) => audio.pause()), true);
}
