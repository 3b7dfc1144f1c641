// A notebook that runs in the browser needs a web address: where the book is opened as a file, its
// button says so.
document.addEventListener("DOMContentLoaded", () => {
  if (location.protocol !== "file:") return;
  for (const button of document.querySelectorAll(".btn-lite-button")) {
    button.removeAttribute("href");
    button.setAttribute("aria-disabled", "true");
    button.title = "Notebooks run where the book has a web address: make serve gives it one";
  }
});
