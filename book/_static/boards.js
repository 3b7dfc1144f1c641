// The sounds of a board are one scene, heard through one source at a time: one plays, and another
// goes on where that one was. Its pictures are the buttons, and the line in each of them says where
// in it one is; one transport stands above them all. Without this script each sound has controls.
const scenes = new WeakMap();

const sceneOf = (audio) => scenes.get(audio.closest(".sounds"));
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

function made(tag, attributes) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function button(scope, audio) {
  audio.controls = false;
  scope.setAttribute("role", "button");
  scope.tabIndex = 0;
  const said = scope.querySelector("small")?.textContent;
  scope.setAttribute("aria-label", ["Play", audio.ariaLabel, said].filter(Boolean).join(" "));
  scope.setAttribute("aria-pressed", "false");
}

function transportOf(scene) {
  const transport = made("div", { class: "transport" });
  const button = made("button", { type: "button" });
  const place = made("input", { type: "range", min: 0, max: 1, step: "any", "aria-label": "Position in the sounds" });
  const said = made("output", {});
  button.addEventListener("click", () => toggle(scene, scene.current));
  place.addEventListener("input", () => {
    const { current } = scene;
    whenThere(current, () => (current.currentTime = place.value * current.duration));
  });
  transport.append(button, place, said);
  return Object.assign(scene, { transport, button, place, said });
}

// A board comes with the page, from a slider, or out of a cell that is run.
function prepare(board) {
  const sounds = [...board.querySelectorAll("td .scope + audio")];
  if (scenes.has(board) || !sounds.length) return;
  for (const audio of sounds) button(audio.previousElementSibling, audio);
  const scene = transportOf({ board, position: 0, current: sounds[0] });
  scenes.set(board, scene);
  board.prepend(scene.transport);
  show(scene);
}

function show(scene) {
  const { board, current, position } = scene;
  const { duration } = current;
  for (const audio of board.querySelectorAll("td audio")) {
    const scope = audio.previousElementSibling;
    scope.style.setProperty("--position", audio.duration ? Math.min(position / audio.duration, 1) : 0);
    scope.setAttribute("aria-pressed", String(!audio.paused));
  }
  write(scene.button, current.paused ? "▶" : "⏸");
  scene.button.setAttribute("aria-label", `${current.paused ? "Play" : "Pause"} ${current.ariaLabel}`);
  scene.place.value = duration ? Math.min(position / duration, 1) : 0;
  write(scene.said, `${current.ariaLabel} ${clock(position)}${duration ? ` of ${clock(duration)}` : ""}`);
}

function moveTo(scene, position) {
  scene.position = position;
  show(scene);
}

function pauseAllBut(audio, scene) {
  for (const other of scene.board.querySelectorAll("audio")) if (other !== audio) other.pause();
}

function toggle(scene, audio) {
  if (audio.paused) audio.play();
  else audio.pause();
}

function whenThere(audio, react) {
  if (audio.readyState) react();
  else audio.addEventListener("loadedmetadata", react, { once: true });
}

function follow(audio, scene) {
  if (audio.paused) return;
  moveTo(scene, audio.currentTime);
  requestAnimationFrame(() => follow(audio, scene));
}

// Events of players do not bubble: they are caught on their way down.
function on(event, react) {
  document.addEventListener(
    event,
    ({ target }) => {
      const scene = target instanceof HTMLAudioElement && sceneOf(target);
      if (scene) react(target, scene);
    },
    true,
  );
}

on("play", (audio, scene) => {
  scene.current = audio;
  pauseAllBut(audio, scene);
  const elsewhere = Math.abs(audio.currentTime - scene.position) > 0.1;
  const ended = scene.position >= audio.duration; // which is unknown until the sound is there
  if (elsewhere && !ended) audio.currentTime = scene.position;
  follow(audio, scene);
});
on("pause", (_, scene) => show(scene));
on("seeked", (audio, scene) => audio === scene.current && moveTo(scene, audio.currentTime));
on("ended", (_, scene) => moveTo(scene, 0));

const scopeOf = ({ target }) => target instanceof Element && target.closest(".scope[role]");

document.addEventListener("click", (click) => {
  const scope = scopeOf(click);
  if (!scope) return;
  const audio = scope.nextElementSibling;
  const scene = sceneOf(audio);
  pauseAllBut(audio, scene); // or the one that plays would go on to say where we are
  scene.current = audio;
  const { left, width } = scope.getBoundingClientRect();
  const share = (click.clientX - left) / width;
  whenThere(audio, () => {
    audio.currentTime = share * audio.duration;
    moveTo(scene, audio.currentTime);
  });
  audio.play();
});

document.addEventListener("keydown", (press) => {
  const scope = [" ", "Enter"].includes(press.key) && scopeOf(press);
  if (!scope) return;
  press.preventDefault();
  toggle(sceneOf(scope.nextElementSibling), scope.nextElementSibling);
});

const prepareAll = () => document.querySelectorAll(".sounds").forEach(prepare);

document.addEventListener("DOMContentLoaded", () => {
  prepareAll();
  new MutationObserver(prepareAll).observe(document.body, { childList: true, subtree: true });
});
