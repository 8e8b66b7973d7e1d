// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Gets frames, from the server or from the page itself when it is a report, and draws.
'use strict';
(() => {
  const {at, element} = tslab;
  const state = {run: null, frames: [], about: null, map: null, heap: null, paused: false, memory: 'live_bytes', unreachable: false};
  const mostFrames = 5000;
  const embedded = at('recorded');
  const charts = {
    memory: tslab.chart('memory', {stacked: true, format: tslab.bytes}),
    costs: tslab.chart('cost-rate', {stacked: true, format: n => tslab.bytes(n) + '/s'}),
    slow: tslab.chart('slow', {stacked: true, format: tslab.rate}),
    contention: tslab.chart('contention', {stacked: false, format: tslab.rate}),
  };

  const takeMap = map => {
    if (Array.isArray(map.maps)) tslab.toldApart(map.maps);
    state.map = map;
  };
  const take = answer => {
    if (answer.run !== state.run) {   // another server, or the same one started anew
      state.run = answer.run;
      state.frames = [];
    }
    const last = state.frames.length ? state.frames[state.frames.length - 1].seq : 0;
    for (const f of answer.frames) tslab.toldApart(f.heaps);
    state.frames.push(...answer.frames.filter(f => f.seq > last));
    if (state.frames.length > mostFrames) state.frames.splice(0, state.frames.length - mostFrames);
    const {frames, map, ...about} = answer;
    state.about = about;
    if (map) takeMap(map);
  };

  const heapNames = () => {
    const last = state.frames[state.frames.length - 1];
    return last ? last.heaps.map(h => h.name) : [];
  };

  const drawHead = () => {
    const a = state.about;
    at('target').textContent = a.target;
    document.title = a.target + ' – tslab';
    const last = state.frames[state.frames.length - 1];
    const status = at('status'), notice = at('notice');
    let trouble = '';
    if (state.unreachable) trouble = 'The server does not answer. What is shown was seen before.';
    else if (!a.fine) trouble = 'The target cannot be read: ' + a.reason + '. What is shown was seen before.';
    else if (a.recording && a.recording.cut > 0)
      trouble = `The recording is not whole: ${a.recording.cut} ${a.recording.cut === 1 ? 'line was' : 'lines were'} cut short and left out.`;
    if (notice.textContent !== trouble) notice.textContent = trouble;   // else it would be read out again and again
    notice.hidden = trouble === '';
    const gone = state.unreachable || !a.fine;
    status.className = 'status ' + (gone ? 'gone' : a.live ? 'live' : '');
    at('status-text').textContent = a.recording ? `Recording of ${a.recording.samples} samples` : state.paused ? 'Paused'
      : gone ? (last ? `Last seen ${tslab.clock(last.t_ms)}` : 'Gone') : a.live ? `Live, sampled every ${tslab.duration(a.interval_ms / 1000)}` : 'A saved snapshot';
    at('pause').hidden = !a.live;
    at('profile-link').hidden = Boolean(a.recording);   // it is a page of the server
    at('about').textContent = a.recording && last ? `Recorded until ${new Date(last.t_ms).toLocaleString()}` : last ? `Last sample ${tslab.clock(last.t_ms)}` : '';

    const names = heapNames();
    const choice = at('heap');
    if (!names.includes(state.heap)) state.heap = names[0];
    at('heap-choice').hidden = names.length < 2;
    if ([...choice.options].map(o => o.value).join('\n') !== names.join('\n'))
      choice.replaceChildren(...names.map(n => element('option', {value: n}, n)));
    choice.value = state.heap;
  };

  // One panel that fails, by unexpected data, does not take the others with it.
  const guarded = (id, draw) => {
    try {
      draw();
    } catch (error) {
      at(id).replaceChildren(tslab.none('This cannot be shown.'));
    }
  };

  const draw = () => {
    drawHead();
    const samples = tslab.samplesOf(state.frames, state.heap);
    if (samples.length === 0) return;
    const {heap} = samples[samples.length - 1];
    guarded('tiles', () => tslab.drawTiles(samples));
    guarded('memory', () => {
      const {labels, rows} = tslab.memorySeries(samples, state.memory);
      charts.memory.draw(labels.map(name => ({name, color: tslab.labelColor(name)})), rows);
    });
    const named = list => list.map(f => ({name: f.name, color: tslab.color(f.color)}));
    guarded('slow', () => charts.slow.draw(named(tslab.slowPaths), tslab.rates(samples, tslab.slowPaths.map(f => f.value))));
    guarded('contention', () => charts.contention.draw(named(tslab.contention), tslab.rates(samples, tslab.contention.map(f => f.value))));
    guarded('waterfall', () => tslab.drawWaterfall(heap));
    guarded('findings', () => tslab.drawFindings(heap));
    guarded('cost-rate', () => {
      const {labels, rows} = tslab.costSeries(samples);
      charts.costs.draw(labels.map(name => ({name, color: tslab.labelColor(name)})), rows);
    });
    guarded('costs', () => tslab.drawCosts(heap));
    guarded('timeline', () => tslab.drawTimeline(samples, heap));
    guarded('latency', () => tslab.drawLatency(heap));
    guarded('map', () => tslab.drawMap(state.map, state.heap));
    document.documentElement.dataset.samples = samples.length;
  };

  const get = async path => {
    const answer = await fetch(path, {cache: 'no-store'});
    if (!answer.ok) throw new Error(path + ': ' + answer.status);
    return answer.json();
  };
  const poll = async () => {
    const last = state.frames.length ? state.frames[state.frames.length - 1].seq : 0;
    try {
      let answer = await get('history.json?since=' + last);
      if (state.run !== null && answer.run !== state.run) answer = await get('history.json');
      take(answer);
      state.unreachable = false;
      if (!document.hidden) takeMap(await get('map.json'));
    } catch (error) {
      state.unreachable = true;
    }
    if (state.about) draw();
    else at('status-text').textContent = 'The server does not answer';
  };
  const loop = async () => {
    if (!state.paused) await poll();
    if (!state.about || state.about.live || state.unreachable)
      setTimeout(loop, Math.min(Math.max(state.about ? state.about.interval_ms : 2000, 500), 60000));
  };

  const choose = (attribute, change) => {
    const buttons = document.querySelectorAll(`button[${attribute}]`);
    for (const b of buttons)
      b.addEventListener('click', () => {
        for (const other of buttons) other.setAttribute('aria-pressed', String(other === b));
        change(b.getAttribute(attribute));
        draw();
      });
  };
  choose('data-memory', v => { state.memory = v; });
  choose('data-map', v => { tslab.mapColors = v; });
  at('heap').addEventListener('change', event => { state.heap = event.target.value; draw(); });
  at('pause').addEventListener('click', () => {
    state.paused = !state.paused;
    at('pause').setAttribute('aria-pressed', String(state.paused));
    at('pause').textContent = state.paused ? 'Resume' : 'Pause';
    drawHead();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => state.about && draw());
  let resized = 0;
  window.addEventListener('resize', () => {
    clearTimeout(resized);
    resized = setTimeout(() => { for (const c of Object.values(charts)) c.resize(); if (state.about) draw(); }, 150);
  });

  if (embedded) {
    take(JSON.parse(embedded.textContent));
    draw();
  } else {
    loop();
  }
})();
