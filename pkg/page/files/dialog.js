// Questions before something is done that cannot be taken back, in a <dialog>:
// it holds the focus, and Escape means no.

import { Problem } from "./api.js";
import { button, h, show, text } from "./dom.js";

// open shows a dialog and resolves with what close is called with, undefined
// when it is dismissed. build(close) returns its content; {head, body, buttons}.
export function open(build) {
  return new Promise((resolve) => {
    const title = "dialog-" + Math.random().toString(36).slice(2);
    let result;
    const node = h("dialog", { class: "dialog", "aria-labelledby": title, close: () => {
      node.remove();
      resolve(result);
    } });
    const close = (value) => {
      result = value;
      node.close();
    };
    const { head, body, buttons } = build(close);
    node.append(h("h2", { id: title }, head), h("div", { class: "dialog-body" }, body), h("div", { class: "dialog-buttons" }, buttons));
    document.body.append(node);
    node.showModal();
    node.scrollTop = 0; // the button with the focus stands at its end
  });
}

// confirm asks whether to do something and does it. It stays open, and says why,
// when that fails. It resolves with what act returned, undefined for no.
export function confirm({ head, body, label, danger = false, act }) {
  return open((close) => {
    const fault = faultLine();
    const yes = button(label, async () => {
      fault.clear();
      try {
        close({ done: await act() });
      } catch (err) {
        fault.tell(err);
      }
    }, { class: danger ? "danger" : "primary" });
    const no = button("Cancel", () => close(), { autofocus: danger });
    return { head, body: [body, fault.node], buttons: [no, yes] };
  }).then((result) => result?.done);
}

// faultLine shows what went wrong, and what to do.
export function faultLine() {
  const what = h("strong"), hint = h("span");
  const node = h("p", { class: "fault", role: "alert", hidden: true }, what, " ", hint);
  return {
    node,
    clear: () => show(node, false),
    tell(err) {
      if (!(err instanceof Problem)) console.error(err);
      text(what, err.message);
      text(hint, err.hint ?? "");
      show(node, true);
    },
  };
}

let toastBox = null;

// toast says for a moment what has been done, or has failed.
export function toast(message, bad = false) {
  if (!toastBox) {
    toastBox = h("div", { class: "toasts", role: "status", "aria-live": "polite" });
    document.body.append(toastBox);
  }
  const node = h("div", { class: bad ? "toast bad" : "toast" }, message);
  toastBox.append(node);
  while (toastBox.childElementCount > 4) toastBox.firstChild.remove();
  setTimeout(() => node.remove(), bad ? 10_000 : 5000);
}

// attempt does something and tells of its failure.
export async function attempt(act) {
  try {
    return await act();
  } catch (err) {
    if (err.name === "AbortError") return undefined;
    if (!(err instanceof Problem)) console.error(err);
    toast(err.hint ? `${err.message}: ${err.hint}` : err.message, true);
    return undefined;
  }
}
