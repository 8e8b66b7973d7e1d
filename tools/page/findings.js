// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the doctor says, and the figures on top of the page.
'use strict';

tslab.drawFindings = heap => {
  const e = tslab.element;
  const items = heap.findings.map(f => e('li', {className: f.severity},
    e('strong', {}, f.title), e('span', {className: 'severity'}, f.severity),
    e('p', {}, f.evidence), e('p', {className: 'action'}, f.action)));
  if (items.length === 0) items.push(e('li', {className: 'good'}, 'Nothing stands out.'));
  tslab.at('findings').replaceChildren(...items);
};

tslab.drawTiles = samples => {
  const e = tslab.element;
  const {heap} = samples[samples.length - 1];
  const rate = f => {
    const rows = tslab.rates(samples.slice(-2), [f]);
    return rows.length ? rows[0][1] : null;
  };
  const share = (part, whole) => {
    const w = rate(whole);
    return w ? rate(part) / w : null;
  };
  const or = (v, format) => v === null ? '–' : format(v);
  const tile = (name, value, bad) => e('div', {className: bad ? 'bad' : ''}, e('dt', {}, name), e('dd', {}, value));
  const allocations = c => c.total_allocations;
  tslab.at('tiles').replaceChildren(
    tile('Resident', tslab.bytes(heap.rss_bytes_current)),
    tile('Live', tslab.bytes(heap.live_bytes)),
    tile('Held by the heap', tslab.bytes(heap.committed_bytes)),
    tile('Held without a use', tslab.bytes(heap.empty_held_bytes)),
    tile('Allocations', or(rate(allocations), tslab.rate)),
    tile('On the slow path', or(share(c => c.total_slow_path_hits, allocations), tslab.percent)),
    tile('Locks waited for', or(share(c => c.total_lock_contended, c => c.total_lock_contended + c.total_lock_fast_acquire), tslab.percent)),
    tile('Leaks', String(heap.leaks.length), heap.leaks.length > 0));
};
