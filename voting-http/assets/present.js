// The screen for an audience: its keys, the full screen, and that the screen stays on.
//
// Written in the JavaScript of 2009 (ES5), as screen.js is.
(function () {
  "use strict";

  var screen = document.getElementById("screen");
  var cover = document.getElementById("cover");
  var next = document.getElementById("next");
  var full = document.getElementById("full");
  var page = document.documentElement;
  // So long after the last movement the controls are gone.
  var IDLE_MS = 4000;

  // ---- Figures ----

  function isCovered() {
    return /(^|\s)covered(\s|$)/.test(screen.className);
  }

  // On this screen only: what others see does not change. A reload and the next visit show the same.
  function toggle() {
    var covered = !isCovered();
    var address = cover.getAttribute("href").split("?")[0];
    screen.className = screen.className.replace(/(^|\s)covered(?=\s|$)/, "") + (covered ? " covered" : "");
    cover.querySelector("span").textContent = cover.getAttribute(covered ? "data-show" : "data-hide");
    cover.setAttribute("href", address + (covered ? "" : "?figures=hidden"));
    if (history.replaceState) history.replaceState(null, "", address + (covered ? "?figures=hidden" : ""));
  }

  if (screen && cover) {
    cover.addEventListener("click", function (event) {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      toggle();
    });
  }

  // ---- Full screen ----

  var enter = page.requestFullscreen || page.webkitRequestFullscreen;
  var exit = document.exitFullscreen || document.webkitExitFullscreen;

  function fill() {
    var asked = document.fullscreenElement || document.webkitFullscreenElement ? exit.call(document) : enter.call(page);
    // A browser may refuse. Then the page stays as it is.
    if (asked && asked["catch"]) asked["catch"](function () { /* refused */ });
  }

  if (enter && exit) {
    full.classList.remove("off");
    full.addEventListener("click", fill);
  }

  // ---- Keys ----

  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    var key = event.key ? event.key.toLowerCase() : "";
    // A remote control for slides sends PageDown; "b" makes slides dark.
    if ((key === "h" || key === "b" || key === ".") && screen && cover) toggle();
    else if ((key === "n" || key === "pagedown") && next) location.assign(next.href);
    else if (key === "f" && enter && exit) fill();
    else return;
    event.preventDefault();
  });

  // ---- The screen stays on ----

  function keepOn() {
    if (!navigator.wakeLock || document.hidden) return;
    // A browser refuses where its battery is low. Then the screen goes dark as always.
    navigator.wakeLock.request("screen")["catch"](function () { /* refused */ });
  }

  // A browser lets the lock go when the page is covered by another one.
  document.addEventListener("visibilitychange", keepOn);
  keepOn();

  // ---- Controls go while nobody moves ----

  var timer = 0;

  function wake() {
    clearTimeout(timer);
    page.className = page.className.replace(/ ?idle/, "");
    timer = setTimeout(function () { page.className += " idle"; }, IDLE_MS);
  }

  document.addEventListener("mousemove", wake);
  document.addEventListener("touchstart", wake);
  document.addEventListener("focusin", wake);
  wake();
})();
