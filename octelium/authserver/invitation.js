"use strict";
// Takes the token of an invitation out of the page's address, and posts it with the page's form.
// It stands behind "#", which browsers send nowhere; so it is in no log, no Referer, no preview.
(() => {
  const form = document.querySelector("form.pasted");
  const take = () => {
    const token = location.hash.slice(1);
    if (!token) return;
    history.replaceState(null, "", location.pathname);
    form.elements.namedItem("invitation").value = token;
    form.submit();
  };
  window.addEventListener("hashchange", take);
  take();
})();
