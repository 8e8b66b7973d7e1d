// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Figures and elements. Texts that come from data are only ever set as textContent.
'use strict';
const tslab = {};

tslab.bytes = n => {
  if (!Number.isFinite(n)) return '–';
  const sign = n < 0 ? '−' : '';
  let v = Math.abs(n);
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let u = 0;
  while (v >= 1024 && u < units.length - 1) { v /= 1024; ++u; }
  return sign + (u === 0 || v >= 100 ? Math.round(v) : v.toFixed(1)) + ' ' + units[u];
};
tslab.count = n => {
  if (!Number.isFinite(n)) return '–';
  const units = ['', ' k', ' M', ' G', ' T'];
  let v = Math.abs(n), u = 0;
  while (v >= 10000 && u < units.length - 1) { v /= 1000; ++u; }
  const digits = u === 0 && (Number.isInteger(v) || v >= 100) ? 0 : v >= 100 ? 0 : 1;
  return (n < 0 ? '−' : '') + v.toFixed(digits) + units[u];
};
tslab.rate = n => tslab.count(n) + '/s';
tslab.percent = f => !Number.isFinite(f) ? '–' : (100 * f).toFixed(f !== 0 && f < 0.1 ? 2 : 1) + ' %';
tslab.nanoseconds = n => {
  if (!Number.isFinite(n)) return '–';
  for (const [unit, size] of [['s', 1e9], ['ms', 1e6], ['µs', 1e3]])
    if (n >= size) return (n / size).toFixed(n / size < 10 ? 1 : 0) + ' ' + unit;
  return Math.round(n) + ' ns';
};
tslab.duration = s => {
  if (s < 60) return (s < 10 ? s.toFixed(1) : Math.floor(s)) + ' s';
  if (s < 3600) return Math.floor(s / 60) + ' min ' + Math.floor(s % 60) + ' s';
  if (s < 86400) return Math.floor(s / 3600) + ' h ' + Math.floor(s % 3600 / 60) + ' min';
  return Math.floor(s / 86400) + ' d ' + Math.floor(s % 86400 / 3600) + ' h';
};
tslab.clock = ms => new Date(ms).toTimeString().slice(0, 8);

// element('li', {className: 'x'}, 'text', another): children are texts or elements.
tslab.element = (name, properties, ...children) => {
  const e = Object.assign(document.createElement(name), properties);
  e.append(...children);
  return e;
};
tslab.svg = (name, attributes, ...children) => {
  const e = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [k, v] of Object.entries(attributes || {})) e.setAttribute(k, v);
  e.append(...children);
  return e;
};
tslab.at = id => document.getElementById(id);
tslab.swatch = color => {
  const s = tslab.element('span', {className: 'swatch'});
  s.style.background = color;
  s.setAttribute('aria-hidden', 'true');
  return s;
};
tslab.none = text => tslab.element('p', {className: 'none'}, text);

tslab.color = name => getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
// The colour of a label: always the same one as long as the page is open.
tslab.labelColors = new Map();
tslab.labelColor = label => {
  if (label === 'unlabeled' || label === '') return tslab.color('s15');
  if (label === 'unattributed') return tslab.color('idle');   // pages whose epoch could not be told
  if (!tslab.labelColors.has(label)) tslab.labelColors.set(label, tslab.labelColors.size % 15);
  return tslab.color('s' + tslab.labelColors.get(label));
};
