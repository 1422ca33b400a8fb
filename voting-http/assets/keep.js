// A ballot that did not get through: it is kept in the open page, and sent again once the service answers. The voting page loads this
// after all else, since a first vote does not need it. Without it, the voter presses the button again.
//
// As in vote.js, the service puts the text in where this file reads texts.NAME.
(function () {
  "use strict";

  if (window.votingKeeper) window.votingKeeper(make);

  var KEPT_MS = 300000; // what could not be sent for longer is not sent by itself any more
  var AGAIN_MS = 2000; // it is sent again after so long, then after twice as long, and so on
  var TRIES = 5;

  function make(page) {
    // Of several tabs, only the one of the last try sends again. The mark says nothing of a vote.
    var NEWEST = "voting-newest:" + page.poll;
    var mine = "";

    function claim() {
      mine = String(Math.random());
      try { localStorage.setItem(NEWEST, mine); } catch (error) { mine = ""; }
    }

    function isNewest() {
      try { return mine !== "" && localStorage.getItem(NEWEST) === mine; } catch (error) { return false; }
    }

    // The ballot, if it may be sent again. `before` is what was kept of it when it was sent.
    function again(before) {
      var kept = before || { at: Date.now(), tries: 0 };
      return kept.tries < TRIES && Date.now() - kept.at < KEPT_MS && isNewest() ? kept : null;
    }

    function tell(kept, choices) {
      kept.choices = choices;
      kept.away = navigator.onLine === false;
      kept.due = Date.now() + AGAIN_MS * Math.pow(2, kept.tries);
      page.say("bad", kept.away ? texts.offline : texts.kept, page.drop, texts.do_not_send);
      // What is said must not outlast what is done.
      setTimeout(function () {
        if (page.kept() === kept) page.drop();
      }, kept.at + KEPT_MS - Date.now());
    }

    // After the service has said what counts by now: a kept ballot never takes the place of a newer vote.
    function resend() {
      var kept = page.kept();
      if (!kept || !page.takes()) return;
      // The timer may have stood still with the device.
      if (!isNewest() || Date.now() - kept.at > KEPT_MS) return page.drop();
      if (Date.now() < kept.due) return;
      kept.tries += 1;
      page.vote(kept.choices, kept);
      page.say("news", kept.away ? texts.online_again : texts.sent_again);
    }

    window.addEventListener("online", function () {
      if (page.kept()) page.kept().due = 0;
    });
    window.addEventListener("offline", function () {
      page.lost(again(page.kept()));
    });
    window.addEventListener("storage", function (event) {
      if (event.key === NEWEST) page.drop();
    });
    return { claim: claim, again: again, tell: tell, resend: resend };
  }
})();
