// What is large is loaded when it is needed: the script of the sliders and their frames when one of
// them comes near, the sounds of a board when the reader reaches for it.
const LATER = 'script[type="text/when-near"]';

function loaded(late) {
  return new Promise((done, failed) => {
    const script = document.createElement("script");
    script.addEventListener("load", done);
    script.addEventListener("error", failed);
    script.src = late.getAttribute("src");
    late.replaceWith(script);
  });
}

// The script of the sliders begins when the page is loaded, and waits for that even when it is.
async function loadSliders() {
  const [manager, ...frames] = document.querySelectorAll(LATER);
  await Promise.all(frames.map(loaded));
  const listen = window.addEventListener;
  window.addEventListener = (event, react, options) => {
    if (event === "load" && document.readyState === "complete") react();
    else listen.call(window, event, react, options);
  };
  await loaded(manager);
  window.addEventListener = listen;
}

// A sound is taken whole, so that one can go to any place in it, whatever the server can do. In a
// book that is opened as a file it cannot be taken, and need not be.
async function takeSound(audio) {
  const answer = await fetch(audio.src);
  const address = URL.createObjectURL(await answer.blob());
  if (!audio.paused || audio.currentTime) return;
  audio.preload = "metadata";
  audio.src = address;
}

function takeSounds({ target }) {
  const scope = target instanceof Element && (target.closest(".sounds") ?? target.closest("figure, audio"));
  if (!scope) return;
  const players = scope.matches("audio") ? [scope] : scope.querySelectorAll("audio");
  for (const audio of players) {
    if (audio.preload !== "none") continue;
    audio.preload = "auto";
    takeSound(audio).catch(() => {});
  }
}

document.addEventListener("DOMContentLoaded", () => {
  const near = new IntersectionObserver(
    (seen) => {
      if (!seen.some(({ isIntersecting }) => isIntersecting)) return;
      near.disconnect();
      loadSliders();
    },
    { rootMargin: "100px" },
  );
  for (const place of document.querySelectorAll(".stand-in")) near.observe(place);

  if (location.protocol !== "file:")
    for (const reach of ["pointerover", "focusin", "touchstart"])
      document.addEventListener(reach, takeSounds, { passive: true });

  const here = document.querySelector(".bd-sidebar-primary li.current.active");
  const sidebar = here?.closest(".bd-sidebar-primary");
  if (sidebar && here.offsetTop > sidebar.clientHeight / 2)
    sidebar.scrollTop = here.offsetTop - sidebar.clientHeight / 2;
});
