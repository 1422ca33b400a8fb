// The page of a result that is hidden: asks again and again, and loads the result once it is shown.
//
// Written in the JavaScript of 2009 (ES5), as result.js is. Where no script runs, the page reloads itself.
(function () {
  "use strict";

  var root = document.getElementById("hidden");
  if (!root || !window.addEventListener || !window.JSON || !window.XMLHttpRequest) return;

  var total = document.getElementById("total");
  var reason = document.getElementById("reason");
  // So often, and up to as much later, so that not all browsers load the result at the same moment.
  var ASK_MS = 4000;
  var PATIENCE_MS = 10000;

  var timer = 0;
  var request = null;

  function put(element, text) {
    // To write the same text again would be a change to screen readers.
    if (typeof text === "string" && element.textContent !== text) element.textContent = text;
  }

  function later() {
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(ask, ASK_MS * (1 + Math.random() / 2));
  }

  function ask() {
    var asked = request = new XMLHttpRequest();
    asked.open("GET", root.getAttribute("data-follow"));
    asked.timeout = PATIENCE_MS;
    asked.onload = function () {
      var answer = {};
      // What answers may be something else: a proxy, a login.
      try { answer = JSON.parse(asked.responseText) || {}; } catch (e) { /* no answer */ }
      if (asked.status === 200 && answer.result) return location.reload();
      if (asked.status === 403 && answer.type === "urn:voting:problem:result-hidden") {
        put(total, answer.turnout);
        // The screen shows the address of the poll only while people can vote.
        if (answer.state && root.getAttribute("data-state")) root.setAttribute("data-state", answer.state);
        put(reason, answer.detail);
      }
      later();
    };
    asked.onerror = asked.ontimeout = later;
    asked.send();
  }

  document.addEventListener("visibilitychange", function () {
    clearTimeout(timer);
    if (request) request.abort();
    if (!document.hidden) ask();
  });
  window.addEventListener("pageshow", function (event) { if (event.persisted) ask(); });

  later();
})();
