// Elements, made and kept up to date without a framework. What stands in a view
// is made once; an update changes the texts and attributes that are other than
// they were, so that focus and selection stay where they are.

const svgSpace = "http://www.w3.org/2000/svg";

// h makes an element: h("p", {class: "note"}, "text", child). Properties that are
// functions are event handlers ("click"); true is an attribute without a value,
// false, null and undefined are none.
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

// s is h for SVG.
export function s(tag, props, ...children) {
  return fill(document.createElementNS(svgSpace, tag), props, children);
}

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (typeof value === "function") node.addEventListener(name, value);
    else attr(node, name, value);
  }
  append(node, children);
  return node;
}

function append(node, children) {
  for (const child of children) {
    if (Array.isArray(child)) append(node, child);
    else if (child !== null && child !== undefined && child !== false) node.append(child);
  }
}

// attr sets an attribute if it is other than it was.
export function attr(node, name, value) {
  if (value === false || value === null || value === undefined) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
    return;
  }
  const text = value === true ? "" : String(value);
  if (node.getAttribute(name) !== text) node.setAttribute(name, text);
}

// attrs is attr for several.
export function attrs(node, values) {
  for (const [name, value] of Object.entries(values)) attr(node, name, value);
}

// text sets the text of a node that holds nothing else.
export function text(node, value) {
  const t = value === null || value === undefined ? "" : String(value);
  const only = node.firstChild;
  if (only && only === node.lastChild && only.nodeType === Node.TEXT_NODE) {
    if (only.data !== t) only.data = t;
  } else if (node.textContent !== t || node.childElementCount > 0) {
    node.textContent = t;
  }
}

// show hides a node, or shows it.
export function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}

// keyed makes the children of a node stand for items, in their order. A child
// stays the same element for as long as its item's key is there. make(item)
// gives a new element, update(element, item) brings it up to date.
export function keyed(parent, items, key, make, update) {
  const old = parent.keyedChildren ?? new Map();
  const now = new Map();
  let before = null; // the child that the next one follows
  for (const item of items) {
    const k = key(item);
    if (now.has(k)) continue;
    let child = old.get(k);
    if (child) old.delete(k);
    else child = make(item);
    update?.(child, item);
    const place = before ? before.nextSibling : parent.firstChild;
    if (place !== child) parent.insertBefore(child, place);
    now.set(k, child);
    before = child;
  }
  for (const child of old.values()) child.remove();
  parent.keyedChildren = now;
}

// button makes a button that does nothing more while what it does goes on. It
// keeps the focus meanwhile.
export function button(label, act, props = {}) {
  const node = h("button", { type: "button", ...props, click: async () => {
    if (node.hasAttribute("aria-busy") || node.getAttribute("aria-disabled") === "true") return;
    node.setAttribute("aria-busy", "true");
    try {
      await act(node);
    } finally {
      node.removeAttribute("aria-busy");
    }
  } }, label);
  return node;
}
