// The sounds of a board are one scene, heard through one source at a time: one plays, and another
// goes on where that one was. The line in every spectrogram says where.
const scenes = new WeakMap();

function sceneOf(audio) {
  const board = audio.closest(".sounds");
  if (!board) return null;
  if (!scenes.has(board)) scenes.set(board, { board, position: 0 });
  return scenes.get(board);
}

function pauseAllBut(audio, scene) {
  for (const other of scene.board.querySelectorAll("audio")) if (other !== audio) other.pause();
}

function moveTo(scene, position) {
  scene.position = position;
  for (const scope of scene.board.querySelectorAll(".scope")) {
    const { duration } = scope.nextElementSibling;
    scope.style.setProperty("--position", duration ? Math.min(position / duration, 1) : 0);
  }
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
  pauseAllBut(audio, scene);
  const elsewhere = Math.abs(audio.currentTime - scene.position) > 0.1;
  const ended = scene.position >= audio.duration; // which is unknown until the sound is there
  if (elsewhere && !ended) audio.currentTime = scene.position;
  follow(audio, scene);
});
on("seeked", (audio, scene) => moveTo(scene, audio.currentTime));
on("ended", (audio, scene) => moveTo(scene, 0));

document.addEventListener("click", (click) => {
  const scope = click.target instanceof Element && click.target.closest(".scope");
  if (!scope) return;
  const audio = scope.nextElementSibling;
  pauseAllBut(audio, sceneOf(audio)); // or the one that plays would go on to say where we are
  const { left, width } = scope.getBoundingClientRect();
  const share = (click.clientX - left) / width;
  whenThere(audio, () => {
    audio.currentTime = share * audio.duration;
    moveTo(sceneOf(audio), audio.currentTime);
  });
  audio.play();
});
