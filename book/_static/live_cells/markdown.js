// Markdown as cells give it, as HTML: paragraphs, headings, lists, tables, listings, equations, links.
// What stands on lines of HTML stays HTML, as in a notebook; all else is text.
const LISTING = /^(`{3,})\w*$/;
const HTML = /^<[/a-z]/i;
const ROW = /^\|/;
const RULE = /^\|[\s:|-]+$/;
const HEADING = /^(#{1,6}) +(.*)/;
const ITEM = /^[-*] +/;
const SAFE = /^(https?:|[^:]*$)/;

const escaped = (text) =>
  text.replace(/[&<>"]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[sign]);

const equation = (body) => `<span class="math notranslate nohighlight">${body}</span>`;

function link(whole, text, address) {
  if (!SAFE.test(address)) return whole;
  return `<a href="${address.replace(/\.md(?=#|$)/, ".html")}">${text}</a>`;
}

// Code and equations first, each put aside, so that nothing in them is taken for something else.
function inline(text) {
  const aside = [];
  const put = (html) => `\0${aside.push(html) - 1}\0`;
  return escaped(text)
    .replace(/(`+)(.+?)\1/g, (_, ticks, code) => put(`<code>${code.trim()}</code>`))
    .replace(/\$\$([^]+?)\$\$/g, (_, body) => put(equation(`\\[${body}\\]`)))
    .replace(/\$(\S|\S[^$]*?\S)\$/g, (_, body) => put(equation(`\\(${body}\\)`)))
    .replace(/\[([^\]]*)\]\(([^)\s]*)\)/g, link)
    .replace(/\*\*(.+?)\*\*/g, "<strong>$1</strong>")
    .replace(/\*(\S.*?)\*/g, "<em>$1</em>")
    .replace(/\0(\d+)\0/g, (_, n) => aside[n]);
}

const cells = (row, kind) =>
  `<tr>${row
    .trim()
    .replace(/^\||\|$/g, "")
    .split(/(?<!\\)\|/)
    .map((cell) => `<${kind}>${inline(cell.trim().replaceAll("\\|", "|"))}</${kind}>`)
    .join("")}</tr>`;

function table([head, , ...rows]) {
  const body = rows.map((row) => cells(row, "td")).join("");
  return `<div class="pst-scrollable-table-container"><table class="table"><thead>${cells(head, "th")}</thead><tbody>${body}</tbody></table></div>`;
}

const begins = (line) => [LISTING, HTML, ROW, HEADING, ITEM].some((block) => block.test(line));

export function markdown(text) {
  const lines = text.split("\n");
  const html = [];
  const taken = (goesOn) => {
    const end = lines.findIndex((line) => !goesOn(line));
    return lines.splice(0, end < 0 ? lines.length : end);
  };
  while (lines.length) {
    const [line, next = ""] = lines;
    const heading = line.match(HEADING);
    const fence = line.match(LISTING)?.[1];
    if (!line.trim()) lines.shift();
    else if (fence) {
      lines.shift();
      html.push(`<pre>${escaped(taken((each) => each.trim() !== fence).join("\n"))}</pre>`);
      lines.shift();
    } else if (HTML.test(line)) html.push(taken((each) => each.trim()).join("\n"));
    else if (heading) html.push(`<h${heading[1].length}>${inline(heading[2])}</h${heading[1].length}>`) && lines.shift();
    else if (ROW.test(line) && RULE.test(next)) html.push(table(taken((each) => ROW.test(each))));
    else if (ITEM.test(line)) {
      const items = taken((each) => ITEM.test(each));
      html.push(`<ul>${items.map((each) => `<li>${inline(each.replace(ITEM, ""))}</li>`).join("")}</ul>`);
    } else html.push(`<p>${inline([lines.shift(), ...taken((each) => each.trim() && !begins(each))].join("\n"))}</p>`);
  }
  return html.join("\n");
}
