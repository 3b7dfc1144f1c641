// The page: it asks its worker for one thing at a time, so that a click is heard between two.
import { RATE, RECORDED, decoded, isWav, microphone, ownRate, recorded, wav } from "./own_sound_audio.js";
import { asking } from "../asking.js";
import { blobOf, element, playAlone, showEvents, showSounds } from "./own_sound_found.js";

const LARGEST = 300e6;
const LONGEST = 60_000; // of a recording, in ms
const $ = (id) => document.getElementById(id);

// ---- the worker --------------------------------------------------------------------------------

// A worker from an address has no policy of its own; one from a blob has that of this page.
function started() {
  const source = `import ${JSON.stringify(new URL("own_sound_worker.js", import.meta.url))};`;
  return new Worker(blobOf(source, "text/javascript"), { type: "module" });
}

const { ask } = asking(started, "Python in this page has broken down: choose the sound again.");

// ---- what is said ------------------------------------------------------------------------------

const say = (words) => ($("status").textContent = words);

function sayError({ message }) {
  $("status").replaceChildren(element("strong", {}, message));
}

// ---- a sound -----------------------------------------------------------------------------------

let isOpen = false; // there is a sound
let isAsked = true; // the recipe and a number of components that there may be
let isPossible = false; // and it can be taken apart as it is asked
let isBusy = false;
let isRecording = false;
let stopAsked = false;

function enable() {
  for (const id of ["file", "choice"]) $(id).disabled = isBusy;
  $("record").disabled = isBusy && !isRecording;
  $("propose").disabled = isBusy || !isOpen;
  $("start").disabled = isBusy || !isPossible;
}

// One thing at a time: what is asked meanwhile is not done.
async function alone(work) {
  if (isBusy) return;
  isBusy = true;
  enable();
  try {
    await work();
  } finally {
    isBusy = false;
    enable();
  }
}

async function opened(name, bytes, rate) {
  if (isWav(bytes)) {
    const read = await ask("open", name, bytes).catch(() => null);
    if (read) return read;
  }
  const channels = await decoded(bytes, rate).catch(() => {
    throw new Error(`${name} is no sound that this browser can play.`);
  });
  const read = await ask("open", name, wav(channels, rate));
  return { ...read, noted: [`decoded by the browser at ${rate} Hz`, ...read.noted] };
}

async function take(file, rate) {
  isOpen = isPossible = false;
  $("about").textContent = $("estimate").textContent = $("where").textContent = "";
  $("own").hidden = $("found").hidden = true;
  $("progress").value = 0;
  if (file.size > LARGEST) throw new Error(`${file.name} has ${Math.round(file.size / 1e6)} MB: a page takes 300 at the most. Choose a shorter piece.`);
  say("Python is being fetched …");
  await ask("load");
  say(`${file.name} is being read …`);
  const bytes = new Uint8Array(await file.arrayBuffer());
  const { seconds, rate: own, noted } = await opened(file.name, bytes, ownRate(bytes) ?? rate);
  $("own").src = URL.createObjectURL(file);
  $("own").hidden = false;
  $("about").textContent = [`${file.name}: ${seconds.toFixed(1)} s at ${own} Hz`, ...noted].join("; ");
  say("The sound is read.");
  isOpen = true;
  if (!$("at-once").checked) return estimate();
  await propose();
  await begin();
}

const asked = () => [$("recipe").value, $("count").valueAsNumber];

async function estimate() {
  isPossible = false;
  $("estimate").textContent = "";
  if (!isOpen || !isAsked) return;
  $("estimate").textContent = await ask("estimate", ...asked());
  isPossible = true;
}

async function asksAnew() {
  say("");
  isAsked = $("asked").reportValidity();
  await alone(estimate);
}

async function propose() {
  if (!isOpen) return;
  say("It is listened to …");
  const { recipe, count, words } = await ask("propose");
  $("recipe").value = recipe;
  $("count").value = count;
  isAsked = true;
  await estimate();
  say(words);
}

// ---- a run -------------------------------------------------------------------------------------

async function show({ words, shown }) {
  $("found").hidden = false;
  $("stage").textContent = words;
  showSounds($("sounds"), shown);
  say(`${shown.sounds.length} sounds to hear: ${words}.`);
  showEvents($("events"), await ask("events"));
}

async function takeApart() {
  let step = await ask("begin", ...asked());
  for (;;) {
    $("progress").value = step.share;
    $("where").textContent = step.shown ? "" : step.words;
    if (step.shown) await show(step);
    if (step.is_last) return;
    step = await ask("step", stopAsked);
  }
}

async function begin() {
  if (!isPossible) return;
  stopAsked = false;
  $("stop").disabled = false;
  try {
    await takeApart();
  } finally {
    $("stop").disabled = true;
  }
}

async function download({ target }) {
  if (target.tagName !== "BUTTON") return;
  const bytes = await ask("download", target.value);
  const href = blobOf(bytes, "application/octet-stream");
  element("a", { href, download: target.value }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}

// ---- the microphone ----------------------------------------------------------------------------

let recorder;

const stopRecording = () => recorder.state === "recording" && recorder.stop();

async function heard() {
  recorder = await microphone();
  $("record").textContent = "Stop recording";
  say("The microphone is heard.");
  const timer = setTimeout(stopRecording, LONGEST);
  const file = await recorded(recorder);
  clearTimeout(timer);
  $("record").textContent = "Record from the microphone";
  return file;
}

async function record() {
  isRecording = true;
  enable();
  const file = await heard().finally(() => {
    isRecording = false;
    recorder = undefined;
    enable();
  });
  await take(file, RECORDED);
}

// ---- where it stands ---------------------------------------------------------------------------

// In a page of the book it is as high as it needs to be, and light or dark as the page is.
function fitIntoTheBook() {
  const frame = window.frameElement;
  const book = frame?.ownerDocument.documentElement;
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  const follow = () => (document.documentElement.dataset.theme = book?.dataset.theme ?? (isDark ? "dark" : "light"));
  follow();
  if (!frame) return;
  new MutationObserver(follow).observe(book, { attributeFilter: ["data-theme"] });
  new ResizeObserver(() => (frame.style.height = `${document.body.offsetHeight}px`)).observe(document.body);
}

function onDrop(event) {
  event.preventDefault();
  const [file] = event.dataTransfer.files;
  if (isBusy) return say("Something else is under way: stop it, or wait, and drop the file again.");
  return file && alone(() => take(file, RATE));
}

function on(target, event, react) {
  target.addEventListener(event, (happened) => Promise.resolve(react(happened)).catch(sayError));
}

fitIntoTheBook();
playAlone();
say("");
on($("file"), "click", ({ target }) => (target.value = "")); // so that the same file can be chosen again
on($("file"), "change", ({ target: { files } }) => files.length && alone(() => take(files[0], RATE)));
on($("record"), "click", () => (recorder ? stopRecording() : alone(record)));
on($("propose"), "click", () => alone(propose));
on($("asked"), "change", asksAnew);
on($("asked"), "submit", (event) => {
  event.preventDefault();
  return alone(() => {
    say("It begins.");
    return begin();
  });
});
on($("stop"), "click", () => {
  stopAsked = true;
});
on($("downloads"), "click", download);
on(document, "dragover", (event) => event.preventDefault());
on(document, "drop", onDrop);
