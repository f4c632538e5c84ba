/* A cell with its last outputs. All text is text; pictures are loaded when they are in sight. */

import { fetchBlob, pathOf } from "./access.js";
import { keep, made, say, sayIfAny, show } from "./dom.js";
import { bytes, count, duration, plain } from "./text.js";

const MAX_PICTURE_BYTES = 10_000_000;
const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);
const ENDS = {
  ok: "",
  error: "failed",
  interrupted: "interrupted",
  lost: "lost: the kernel went away",
};

export function makeCell() {
  return made("cell-template");
}

export function updateCell(element, cell, session) {
  say(element.querySelector(".number"), cell.count === null ? "[ ]" : `[${cell.count}]`);
  say(element.querySelector(".code code"), cell.code.replace(/^\s*\n/, "").trimEnd() + (cell.is_cut ? " …" : ""));
  say(element.querySelector(".end"), endOf(cell));
  element.dataset.end = cell.state === "executing" ? "running" : (cell.end ?? "");
  const earlier = cell.earlier ?? 0;
  const omitted = earlier ? `${count(earlier, "earlier output is", "earlier outputs are")} left out` : "";
  sayIfAny(element.querySelector(".omitted"), omitted);
  const outputs = element.querySelector(".outputs");
  show(outputs, (cell.outputs ?? []).length > 0);
  keep(outputs, cell.outputs ?? [], {
    key: (output, index) => `${earlier + index} ${output.kind} ${output.name ?? ""}`,
    make: makeOutput,
    update: (child, output) => updateOutput(child, output, session),
    parted: forgetPicture,
  });
}

function endOf(cell) {
  if (cell.state === "executing") return "runs";
  const word = ENDS[cell.end] ?? cell.end ?? "";
  if (!cell.started || !cell.completed) return word;
  const took = duration((Date.parse(cell.completed) - Date.parse(cell.started)) / 1000);
  return word ? `${word} after ${took}` : took;
}

function makeOutput(output) {
  if (output.kind === "picture") {
    const figure = document.createElement("figure");
    figure.append(document.createElement("img"));
    return figure;
  }
  if (output.kind === "other") {
    const line = document.createElement("p");
    line.className = "unseen-output";
    return line;
  }
  const text = document.createElement("pre");
  text.className = output.kind === "stream" ? `stream ${output.name}` : output.kind;
  text.tabIndex = 0;
  text.setAttribute("role", "group");
  text.setAttribute("aria-label", labelOf(output));
  return text;
}

function labelOf(output) {
  if (output.kind === "error") return "Error";
  return output.name === "stderr" ? "Output, stderr" : "Output";
}

function updateOutput(element, output, session) {
  if (output.kind === "picture") {
    updatePicture(element.firstElementChild, output, session);
  } else if (output.kind === "other") {
    const what = output.media_type || "an output of no type";
    say(element, `${what}, ${bytes(output.bytes ?? 0)}: not shown here`);
  } else {
    updateText(element, endOfText(output.text ?? "", output.is_cut));
  }
}

/* Of what is cut, whole lines; of a line that is written over and over, what it is now. */
function endOfText(text, isCut) {
  if (!isCut) return plain(text);
  const line = text.indexOf("\n");
  if (line >= 0 && line < text.length - 1) return `…\n${plain(text.slice(line + 1))}`;
  return (text.includes("\r") ? "" : "… ") + plain(text);
}

/* Whoever reads the end goes on reading the end; who scrolled up stays there. */
function updateText(element, text) {
  if (element.textContent === text) return;
  const isAtEnd = element.scrollHeight - element.scrollTop - element.clientHeight < 4;
  element.textContent = text;
  if (isAtEnd) element.scrollTop = element.scrollHeight;
}

export function scrollToEnds(element) {
  for (const text of element.querySelectorAll(".outputs pre")) text.scrollTop = text.scrollHeight;
}

// Pictures

const inSight = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (isIntersecting) {
      inSight.unobserve(target);
      load(target);
    }
  }
});

function updatePicture(image, output, session) {
  image.alt = plain(output.text ?? "").trim() || "A picture without a description";
  const path = pathOf(session, "blobs", output.blob);
  if (image.dataset.path === path) return;
  Object.assign(image.dataset, { path, type: output.media_type });
  const isShown = PICTURES.has(output.media_type) && output.bytes <= MAX_PICTURE_BYTES;
  if (isShown) inSight.observe(image);
  else image.alt = `${output.media_type}, ${bytes(output.bytes)}: too large for this page`;
}

async function load(image) {
  const { path, type } = image.dataset;
  try {
    const blob = await fetchBlob(path, type);
    if (image.dataset.path !== path || !image.isConnected) return;
    const before = image.src;
    image.src = URL.createObjectURL(blob);
    if (before) URL.revokeObjectURL(before);
  } catch {
    delete image.dataset.path; // it is tried again with the next news of this cell
  }
}

export function forgetPicture(element) {
  for (const image of element.querySelectorAll("img")) {
    inSight.unobserve(image);
    if (image.src) URL.revokeObjectURL(image.src);
  }
}
