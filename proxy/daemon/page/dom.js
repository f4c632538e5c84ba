/* Elements that stay what they are while what they say changes: nothing is made anew that has the
   focus, is scrolled or selected. Whatever comes from elsewhere becomes text, never markup. */

export function byId(id) {
  return document.getElementById(id);
}

export function made(template) {
  return byId(template).content.firstElementChild.cloneNode(true);
}

export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/* Say it, and hide the element where there is nothing to say. */
export function sayIfAny(element, text) {
  say(element, text);
  show(element, text !== "");
}

export function show(element, shown) {
  if (element.hidden === shown) element.hidden = !shown;
}

export function name(element, label) {
  if (element.getAttribute("aria-label") !== label) element.setAttribute("aria-label", label);
}

/* Have a child of `parent` for each item, in this order. Children are known by their keys; `parted`
   is told of those that go. */
export function keep(parent, items, { key, make, update, parted = () => {} }) {
  const focused = document.activeElement;
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const keys = unique(items.map((item, index) => String(key(item, index))));
  const wanted = new Set(keys);
  for (const [each, child] of known) {
    if (!wanted.has(each)) {
      parted(child);
      child.remove();
    }
  }
  let next = parent.firstElementChild;
  items.forEach((item, index) => {
    const each = keys[index];
    let child = known.get(each);
    if (child === undefined) {
      child = make(item);
      child.dataset.key = each;
    }
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
    update(child, item);
  });
  if (focused !== document.activeElement && focused?.isConnected) focused.focus();
}

/* Two clients may be called the same. */
function unique(keys) {
  const times = new Map();
  return keys.map((each) => {
    const number = times.get(each) ?? 0;
    times.set(each, number + 1);
    return number ? `${each} #${number}` : each;
  });
}
