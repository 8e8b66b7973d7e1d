// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The histogram of sampled allocations. Heights are logarithmic: the rare slow ones are what one looks for.
'use strict';

tslab.drawLatency = heap => {
  const box = tslab.at('latency');
  const l = heap.latency, e = tslab.element;
  if (!l || l.samples === 0)
    return box.replaceChildren(tslab.none(l && l.on ? 'No allocation was sampled yet.' : 'Sampling is off, so no allocation was timed: allocator::set_sampling(true) switches it on.'));
  const wall = l.wall_ns_log2, wait = l.wait_ns_log2;
  let first = wall.findIndex(n => n > 0);
  first = Math.max(Math.min(first, 6) - 1, 0);
  const last = Math.max(wall.length, wait.length, first + 8);
  const most = Math.log10(1 + Math.max(...wall, ...wait));
  const high = n => n > 0 ? Math.max(100 * Math.log10(1 + n) / most, 1.5) + '%' : '0';
  const columns = e('div', {className: 'columns'});
  const ticks = e('div', {className: 'ticks'});
  ticks.setAttribute('aria-hidden', 'true');
  const words = [];
  const bound = b => b === 0 ? 0 : 2 ** (b - 1);
  for (let b = first; b < last; ++b) {
    const a = e('span', {className: 'wall'}), w = e('span', {className: 'wait'});
    a.style.height = high(wall[b] || 0);
    w.style.height = high(b === 0 ? 0 : wait[b] || 0);
    const text = `from ${tslab.nanoseconds(bound(b))}: ${tslab.count(wall[b] || 0)} took so long, ${tslab.count(wait[b] || 0)} waited so long`;
    if (wall[b]) words.push(`${tslab.nanoseconds(bound(b))} ${wall[b]}`);
    columns.append(e('div', {title: text}, a, w));
    ticks.append(e('span', {}, (b - first) % 4 === 0 ? tslab.nanoseconds(bound(b)) : ''));
  }
  columns.setAttribute('role', 'img');
  columns.setAttribute('aria-label', 'Sampled allocations by duration: ' + words.join(', '));
  const figure = (name, value) => e('li', {}, name, e('b', {}, value));
  const legend = e('ul', {className: 'legend'},
    e('li', {}, tslab.swatch(tslab.color('s0')), 'duration'), e('li', {}, tslab.swatch(tslab.color('s1')), 'of it, waiting'),
    figure('half within', tslab.nanoseconds(l.p50)), figure('99 % within', tslab.nanoseconds(l.p99)),
    figure('99.9 % within', tslab.nanoseconds(l.p999)), figure('longest', tslab.nanoseconds(l.wall_ns_max)),
    figure('samples', tslab.count(l.samples)));
  box.replaceChildren(columns, ticks, legend);
};
