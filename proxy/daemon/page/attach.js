/* The ways into a session, each as a line to copy. */

import { token } from "./access.js";
import { keep, made, name, say } from "./dom.js";

const HIDDEN = "••••••";

export function updateWays(list, info, announcer) {
  keep(list, waysInto(info), {
    key: (way) => way.what,
    make: () => makeWay(announcer),
    update: updateWay,
  });
}

function waysInto(info) {
  const gateway = (secret) =>
    `jupyter lab --gateway-url=${location.origin} --GatewayClient.auth_token=${secret}`;
  const ways = [
    { what: "A console in this terminal", line: `kmux console ${info.name}` },
    { what: "Its connection file, for any frontend", line: info.connection_file },
    { what: "The same file, made where it is missing", line: `kmux attach ${info.name}` },
    {
      what: `A kernel for notebooks and editors, “Shared: ${info.name}” (shared-${info.name})`,
      line: `kmux kernelspec install --attach ${info.name} --user`,
    },
    {
      what: "JupyterLab with the kernels of this daemon",
      line: gateway(HIDDEN),
      whole: () => gateway(token()),
    },
  ];
  if (info.record_url) {
    ways.push({
      what: "Its record, for automerge-repo",
      line: info.record_url.replace(/token=.*/, `token=${HIDDEN}`),
      whole: () => info.record_url,
    });
    ways.push({ what: "The record's document", line: info.document });
  }
  return ways;
}

function makeWay(announcer) {
  const row = made("way-template");
  const button = row.querySelector("button");
  button.addEventListener("click", () => copy(row, announcer));
  return row;
}

function updateWay(row, way) {
  say(row.querySelector("dt"), way.what);
  say(row.querySelector("code"), way.line);
  const button = row.querySelector("button");
  name(button, `Copy: ${way.what}${way.whole ? ", with the token" : ""}`);
  row.whole = way.whole ?? (() => way.line);
}

async function copy(row, announcer) {
  const button = row.querySelector("button");
  try {
    await navigator.clipboard.writeText(row.whole());
  } catch {
    getSelection().selectAllChildren(row.querySelector("code"));
    announcer.say("It is selected; copy it with the keyboard.");
    return;
  }
  button.textContent = "Copied";
  announcer.say("Copied.");
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}
