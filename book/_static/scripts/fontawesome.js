// In place of the theme's 1.5 MB of the same name. The theme's style sheet has a font for its icons; the
// script would draw them a second time, and take away those that the buttons of ipywidgets look for.
