// The button that shares a page: with what the device has for that, else by copying the link.
(function () {
  "use strict";

  var button = document.getElementById("share");
  if (!button || !button.classList || !(navigator.share || navigator.clipboard)) return;

  // The page's own address, without what led here.
  var link = document.querySelector("link[rel=canonical]");
  var url = link ? link.href : location.href.split("?")[0];
  var words = button.textContent;

  button.addEventListener("click", function () {
    if (navigator.share) {
      // Who closes the dialog has decided.
      navigator.share({ title: button.getAttribute("data-title"), url: url })["catch"](function () { /* closed */ });
      return;
    }
    navigator.clipboard.writeText(url).then(function () {
      button.textContent = button.getAttribute("data-done");
      setTimeout(function () { button.textContent = words; }, 3000);
    }, function () { /* not allowed */ });
  });
  button.classList.remove("off");
})();
