/* Shows the page anew once it has changed, but not under the hand of a reader. */
"use strict";
(() => {
  const shown = document.documentElement.dataset.stamp;
  const ended = document.getElementById("live-ended");
  let touched = 0;
  for (const kind of ["pointerdown", "wheel", "keydown", "touchstart"]) {
    addEventListener(kind, () => { touched = Date.now(); }, { passive: true });
  }
  setInterval(async () => {
    try {
      const answer = await fetch("/stamp", { cache: "no-store" });
      ended.hidden = answer.ok;
      if (answer.ok && (await answer.text()) !== shown && Date.now() - touched > 5000) location.reload();
    } catch {
      ended.hidden = false;
    }
  }, 1000);
})();
