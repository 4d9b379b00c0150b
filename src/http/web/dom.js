// Small things that every view needs. Text is written only where it changed: the browser then has
// nothing to lay out again.

export const byId = (id) => document.getElementById(id);

export function setText(element, text) {
  if (element.textContent !== text)
    element.textContent = text;
}

export function setClass(element, name) {
  if (element.className !== name)
    element.className = name;
}

export function setData(element, key, value) {
  if (element.dataset[key] !== value)
    element.dataset[key] = value;
}

// make("li", {class: "x"}, child, "text", ...)
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// A decimal exactly as it was sent, in two nodes: the zeros at its end are of less weight.
export function setDecimal(element, text) {
  const cut = text.includes(".") ? text.search(/\.?0*$/) : text.length;
  const [head, tail] = element.childNodes.length === 2 ? element.childNodes : decimalNodes(element);
  if (head.data !== text.slice(0, cut))
    head.data = text.slice(0, cut);
  setText(tail, text.slice(cut));
}

function decimalNodes(element) {
  const nodes = [document.createTextNode(""), document.createElement("s")];
  element.replaceChildren(...nodes);
  return nodes;
}

const calm = matchMedia("(prefers-reduced-motion: reduce)");

// A short tint behind a price that moved: direction is 1 or -1, or 0 for the same in other digits.
// Of an element of its own, and by its opacity alone: then no frame of it is laid out or painted.
export function flash(tint, direction) {
  if (calm.matches || document.hidden || direction === 0)
    return;
  setClass(tint, direction > 0 ? "tint up" : "tint down");
  tint.animate([{ opacity: 0.28 }, { opacity: 0 }], { duration: 650, easing: "ease-out" });
}

// Views that changed are drawn together, once in a frame.
const dirty = new Set();
let asked = false;

export function redraw(view) {
  dirty.add(view);
  if (asked)
    return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    const views = [...dirty];
    dirty.clear();
    views.forEach((each) => each.draw());
  });
}
