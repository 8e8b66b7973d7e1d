// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Frames to series: pure functions, from what /history.json says to what is drawn.
'use strict';

// Heaps may have the same name, or none; the order they come in distinguishes them.
tslab.toldApart = heaps => {
  const seen = new Map();
  for (const h of heaps) {
    const name = h.name || 'unnamed', n = (seen.get(name) || 0) + 1;
    seen.set(name, n);
    h.name = n === 1 ? name : `${name} (${n})`;
  }
};

// The samples of one heap: [{t, heap}], t by the clock on the wall, without those in which it is missing. A name is not enough: a process may be
// started anew, and then counters begin anew too.
tslab.samplesOf = (frames, name) => {
  const out = [];
  for (const f of frames) {
    const heap = f.heaps.find(h => h.name === name);
    if (heap) out.push({t: heap.t_ms, heap});
  }
  return out;
};

tslab.memorySeries = (samples, field) => {
  const used = new Set();
  const order = [];
  for (const s of samples)
    for (const l of s.heap.labels) {
      if (!order.includes(l.name)) order.push(l.name);
      if (l[field] > 0) used.add(l.name);
    }
  const labels = order.filter(name => used.has(name));
  const rows = samples.map(s => {
    const byName = new Map(s.heap.labels.map(l => [l.name, l[field]]));
    return [new Date(s.t), ...labels.map(name => byName.get(name) || 0)];
  });
  return {labels, rows};
};

// The seconds between two samples: by the clock that cannot be set, where both have it and are of one boot of the machine.
tslab.secondsBetween = (a, b) => {
  const oneBoot = a.heap.boot_id && a.heap.boot_id === b.heap.boot_id && a.heap.monotonic_ms > 0 && b.heap.monotonic_ms > 0;
  return (oneBoot ? b.heap.monotonic_ms - a.heap.monotonic_ms : b.t - a.t) / 1000;
};

// What happened per second between neighbouring samples; nothing across a restart.
tslab.rates = (samples, figures) => {
  const rows = [];
  for (let i = 1; i < samples.length; ++i) {
    const a = samples[i - 1], b = samples[i];
    const seconds = tslab.secondsBetween(a, b);
    if (seconds <= 0) continue;
    const same = a.heap.pid === b.heap.pid;
    rows.push([new Date(b.t), ...figures.map(f => {
      const d = f(b.heap.counters) - f(a.heap.counters);
      return same && d >= 0 ? d / seconds : null;
    })]);
  }
  return rows;
};

tslab.slowPaths = [
  {name: 'a slab with free slots, or one from a cache', color: 's0', value: c => c.total_slow_path_hits - c.total_slow_cache_miss},
  {name: 'no cached slab: plain pages', color: 's1', value: c => c.total_slow_cache_miss},
  {name: 'epoch closed: refused', color: 's4', value: c => c.total_slow_epoch_closed},
  {name: 'out of memory: refused', color: 'bad', value: c => c.total_out_of_memory},
];
tslab.contention = [
  {name: 'waits for a lock', color: 's0', value: c => c.total_lock_contended},
  {name: 'claims repeated', color: 's1', value: c => c.total_bitmap_alloc_cas_retries},
  {name: 'frees repeated', color: 's2', value: c => c.total_bitmap_free_cas_retries},
  {name: 'races for a slab lost', color: 's4', value: c => c.total_current_partial_lost_races},
];

// Every epoch that was seen: from its opening to when it was last there, or to now.
tslab.epochsOf = samples => {
  const seen = new Map();
  const last = samples.length ? samples[samples.length - 1] : null;
  for (const s of samples) {
    for (const e of s.heap.epochs) {
      const key = s.heap.pid + '/' + e.epoch_id + '/' + e.epoch_era;
      const drained = e.lifecycle === 'DRAINED';
      let known = seen.get(key);
      if (!known) {
        if (drained && samples.length > 1) continue;   // over before we looked
        known = {id: e.epoch_id, era: e.epoch_era, label: e.label, open: e.open_since_ms, closed: null, end: null};
        seen.set(key, known);
      }
      if (known.end !== null) continue;
      if (known.closed === null && e.closing_sec > 0) known.closed = Math.max(known.open, s.t - 1000 * e.closing_sec);
      if (drained) known.end = s.t;
      known.last = s.t;
      if (!drained) known.now = e;
    }
  }
  return [...seen.values()].map(e => {
    const there = e.end === null && e.last === last.t;
    return {...e, there, end: there ? last.t : e.end === null ? e.last : e.end, leaked: there && e.now && e.now.leaked};
  }).sort((a, b) => b.leaked - a.leaked || b.there - a.there || a.open - b.open);
};
