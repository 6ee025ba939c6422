"use strict";

const make = (tag, text, attributes = {}) => {
  const node = document.createElement(tag);
  if (text) node.textContent = text;
  Object.assign(node, attributes);
  return node;
};

const send = async (method, path, body, output) => {
  const headers = {};
  const key = document.getElementById("key").value;
  if (key) headers.authorization = `Bearer ${key}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  output.hidden = false;
  try {
    const started = performance.now();
    const response = await fetch(path, { method, headers, body });
    const text = await response.text();
    const took = Math.round(performance.now() - started);
    let content = text;
    if ((response.headers.get("content-type") || "").includes("json")) content = JSON.stringify(JSON.parse(text), null, 2);
    output.textContent = `${response.status} in ${took} ms\n\n${content}`;
  } catch (error) {
    output.textContent = String(error);
  }
};

const operation = (path, method, spec) => {
  const section = make("section");
  section.id = spec.operationId;
  const head = make("h2");
  head.append(make("span", method.toUpperCase(), { className: "method" }), make("code", path));
  section.append(head, make("p", spec.summary));
  if (spec.description) section.append(make("p", spec.description));
  const output = make("pre", "", { hidden: true });
  const media = spec.requestBody && spec.requestBody.content["application/json"];
  const button = make("button", "Send");
  if (media) {
    const area = make("textarea", "", { spellcheck: false });
    area.setAttribute("aria-label", "Body of the request");
    const choice = make("select");
    choice.setAttribute("aria-label", "Example");
    const examples = media.examples || {};
    for (const name of Object.keys(examples)) choice.append(make("option", name, { value: name }));
    const fill = () => { area.value = examples[choice.value] ? JSON.stringify(examples[choice.value].value) : "{}"; };
    choice.onchange = fill;
    fill();
    const line = make("p", "Example: ");
    line.append(choice);
    section.append(line, area);
    button.onclick = () => send(method.toUpperCase(), path, area.value, output);
  } else {
    button.onclick = () => send(method.toUpperCase(), path, undefined, output);
  }
  const statuses = Object.entries(spec.responses).map(([status, response]) => `${status} ${response.description}`);
  section.append(make("p", `Responses: ${statuses.join("; ")}.`), button, output);
  return section;
};

const load = async () => {
  const list = document.getElementById("operations");
  try {
    const content = await (await fetch("/openapi.json")).json();
    document.getElementById("about").textContent = content.info.description;
    document.getElementById("keyed").hidden = !(content.components.securitySchemes);
    list.replaceChildren();
    for (const [path, methods] of Object.entries(content.paths)) {
      for (const [method, spec] of Object.entries(methods)) list.append(operation(path, method, spec));
    }
  } catch (error) {
    list.textContent = `/openapi.json cannot be read: ${error}`;
  }
};

load();
