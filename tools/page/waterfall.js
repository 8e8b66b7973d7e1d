// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Resident memory, term by term: each bar begins where the one above it ends.
'use strict';

tslab.waterfallTerms = [
  ['live_bytes', 'live objects', 's0'],
  ['slack_bytes', 'ends of pages no slot covers', 's11'],
  ['empty_slot_bytes', 'free slots of slabs in use', 's1'],
  ['cached_bytes', 'empty slabs in caches', 's6'],
  ['free_bytes', 'free pages not given back', 's13'],
  ['metadata_bytes', 'metadata', 's9'],
  ['not_tslab_bytes', 'not this heap’s', 's15'],
];

tslab.drawWaterfall = heap => {
  const box = tslab.at('waterfall');
  const w = heap.waterfall;
  if (!w) return box.replaceChildren(tslab.none('This sample was taken without asking what is resident.'));
  const e = tslab.element;
  const whole = Math.max(w.rss_bytes, 1);
  const row = (name, value, color, from, className) => {
    const bar = e('span', {});
    bar.style.background = color;
    bar.hidden = value <= 0;
    const left = Math.min(Math.max(from / whole, 0), 1);
    bar.style.left = 100 * left + '%';
    bar.style.width = 100 * Math.max(Math.min(value / whole, 1 - left), 0) + '%';
    const th = e('th', {scope: 'row'}, name);
    return e('tr', {className}, th, e('td', {className: 'track'}, e('div', {}, bar)), e('td', {}, tslab.bytes(value)));
  };
  const body = e('tbody', {}, row('resident', w.rss_bytes, tslab.color('ink'), 0, 'sum'));
  let from = 0;
  for (const [field, name, color] of tslab.waterfallTerms) {
    body.append(row(name, w[field], tslab.color(color), from, ''));
    from += w[field];
  }
  const aside = e('tr', {className: 'aside'}, e('th', {scope: 'row'}, 'in use, not resident'), e('td', {}), e('td', {}, tslab.bytes(w.untouched_bytes)));
  body.append(aside);
  box.replaceChildren(e('table', {className: 'terms'}, body));
};
