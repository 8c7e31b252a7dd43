"use strict";
// Asks the browser for a security key or passkey and posts its answer with the form of the page.
// The JSON forms are those of https://www.w3.org/TR/webauthn-3/#sctn-parseCreationOptionsFromJSON.
(() => {
  const form = document.querySelector("form[data-ceremony]");
  const told = document.getElementById("told");
  const answer = form.elements.namedItem("response");
  const button = form.querySelector("button");

  const bytes = (text) => {
    const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    return Uint8Array.from(plain, (character) => character.charCodeAt(0));
  };
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const descriptors = (list) => (list || []).map((one) => ({ ...one, id: bytes(one.id) }));

  const decoded = (options) => {
    const result = { ...options, challenge: bytes(options.challenge) };
    if (options.user) result.user = { ...options.user, id: bytes(options.user.id) };
    if (options.excludeCredentials) {
      result.excludeCredentials = descriptors(options.excludeCredentials);
    }
    if (options.allowCredentials) {
      result.allowCredentials = descriptors(options.allowCredentials);
    }
    return result;
  };

  const encoded = (credential) => {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature",
      "userHandle"]) {
      if (credential.response[name]) response[name] = text(credential.response[name]);
    }
    const result = {
      id: credential.id,
      rawId: text(credential.rawId),
      type: credential.type,
      response,
      clientExtensionResults: credential.getClientExtensionResults(),
    };
    if (credential.authenticatorAttachment) {
      result.authenticatorAttachment = credential.authenticatorAttachment;
    }
    return result;
  };

  const why = (error) => {
    switch (error.name) {
      case "NotAllowedError":
        return "That was cancelled, took too long, or is not possible here. You can try again.";
      case "InvalidStateError":
        return "This security key or device is registered already.";
      case "SecurityError":
        return "The browser allows this only on the Cluster's own, securely opened pages.";
      default:
        return `The browser could not do it: ${error.name}.`;
    }
  };

  let asking = false;
  const ask = async () => {
    if (asking) return;
    asking = true;
    told.textContent = "Follow what your browser asks you to do.";
    try {
      if (!window.PublicKeyCredential) throw new DOMException("", "NotSupportedError");
      const publicKey = decoded(JSON.parse(form.dataset.options));
      const credential = form.dataset.ceremony === "create"
        ? await navigator.credentials.create({ publicKey })
        : await navigator.credentials.get({ publicKey });
      answer.value = JSON.stringify(encoded(credential));
      told.textContent = "One moment…";
      form.submit();
    } catch (error) {
      told.textContent = why(error);
      button.focus();
    }
    asking = false;
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  ask();
})();
