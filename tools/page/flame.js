// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A heap profile, from the server or from the page itself, as a flame graph.
'use strict';
(() => {
  const {at, element} = tslab;
  const every = '\u0000every';   // no label or heap has this name
  const state = {data: null, amount: 'live_bytes', label: every, heap: every, chart: null};
  const embedded = at('recorded');

  const isBytes = () => state.amount.endsWith('_bytes');
  const amountText = n => isBytes() ? tslab.bytes(n) : tslab.count(Math.round(n)) + (state.amount === 'live_objects' ? ' objects' : ' allocations');
  const share = (part, whole) => whole > 0 ? (100 * part / whole).toFixed(1) + ' %' : '0 %';
  const ofStack = s => (state.label === every || s.label === state.label) && (state.heap === every || s.heap === state.heap);

  // One child a function; the line is that of its largest stack.
  const treeOf = data => {
    const root = {name: 'all', value: 0, children: new Map()};
    let leftOut = 0;
    for (const s of data.stacks) {
      const amount = s[state.amount];
      if (!ofStack(s)) continue;
      if (amount <= 0) {
        if (amount < 0) leftOut -= amount;
        continue;
      }
      let node = root;
      node.value += amount;
      const path = state.label === every ? [[s.label, '', 0], ...s.frames.map(f => [data.functions[f[0]], data.files[f[1]], f[2]])]
        : s.frames.map(f => [data.functions[f[0]], data.files[f[1]], f[2]]);
      for (const [name, file, line] of path) {
        let child = node.children.get(name);
        if (!child) node.children.set(name, child = {name, place: file ? file + (line ? ':' + line : '') : '', largest: 0, value: 0, children: new Map()});
        if (amount > child.largest) {
          child.largest = amount;
          child.place = file ? file + (line ? ':' + line : '') : '';
        }
        child.value += amount;
        node = child;
      }
    }
    const plain = n => ({name: n.name, value: n.value, place: n.place, children: [...n.children.values()].map(plain)});
    return {root: plain(root), leftOut};
  };

  const hue = name => {
    let h = 0;
    for (const c of name) h = (h * 31 + c.codePointAt(0)) % 997;
    return h / 997;
  };
  const colour = d => d.highlight ? '#d23fd2' : d.depth === 0 ? '#c9d3d0'
    : d.depth === 1 && state.label === every ? `hsl(${185 + 30 * hue(d.data.name)} 38% 68%)` : `hsl(${12 + 40 * hue(d.data.name)} 78% ${62 + 12 * hue(d.data.name + '.')}%)`;

  const draw = () => {
    const {root, leftOut} = treeOf(state.data);
    const place = at('flame');
    place.replaceChildren();
    at('sum').textContent = root.value > 0 ? `${amountText(root.value)} in all, estimated from samples.` +
      (leftOut > 0 ? ` ${amountText(leftOut)} less by other stacks, which are not drawn.` : '') : 'Nothing.';
    state.chart = flamegraph().width(Math.max(place.clientWidth, 320)).cellHeight(20).transitionDuration(0).minFrameSize(2)
      .inverted(true).sort(true).tooltip(false).title('')
      .setColorMapper(colour)
      .setLabelHandler(d => `${d.data.name}: ${amountText(d.value)}, ${share(d.value, root.value)}${d.data.place ? ', ' + d.data.place : ''}`)
      .setDetailsHandler(text => { at('details').textContent = text || '\u00a0'; })
      .setSearchMatch((d, term) => term !== '' && d.data.name.toLowerCase().includes(term.toLowerCase()))
      .setSearchHandler((results, found) => { at('details').textContent = `${amountText(found)}, ${share(found, root.value)}, in what is found`; });
    d3.select(place).datum(root).call(state.chart);
    find();
  };

  const find = () => {
    const term = at('find').value.trim();
    if (term === '') state.chart.clear();
    else state.chart.search(term);
  };

  const fill = (id, names, all) => {
    at(id).replaceChildren(element('option', {value: every}, all), ...names.map(n => element('option', {value: n}, n)));
    at(id).addEventListener('change', event => {
      state[id] = event.target.value;
      draw();
    });
  };

  const begin = data => {
    state.data = data;
    at('target').textContent = data.target;
    document.title = 'Heap profile of ' + data.target + ' – tslab';
    fill('label', [...new Set(data.stacks.map(s => s.label))].sort(), 'all labels');
    const heaps = [...new Set(data.stacks.map(s => s.heap))].sort();
    fill('heap', heaps, 'all heaps');
    at('heap-choice').hidden = heaps.length < 2;
    at('about').textContent = (data.interval_bytes ? `One sample in about ${tslab.bytes(data.interval_bytes)}. ` : '') +
      (data.t_ms ? 'Seen ' + new Date(data.t_ms).toLocaleString() : '');
    at('notes').replaceChildren(...data.notes.map(n => element('li', {}, n)));
    for (const b of document.querySelectorAll('[data-amount]'))
      b.addEventListener('click', () => {
        state.amount = b.dataset.amount;
        for (const other of document.querySelectorAll('[data-amount]')) other.setAttribute('aria-pressed', String(other === b));
        draw();
      });
    at('find').addEventListener('input', find);
    at('reset').addEventListener('click', () => {
      at('find').value = '';
      draw();
    });
    let width = window.innerWidth;
    window.addEventListener('resize', () => {
      if (window.innerWidth === width) return;
      width = window.innerWidth;
      draw();
    });
    draw();
  };

  const fail = why => {
    at('notice').textContent = why;
    at('notice').hidden = false;
  };

  if (embedded) begin(JSON.parse(embedded.textContent));
  else fetch('flame.json').then(async answer => answer.ok ? begin(await answer.json()) : fail((await answer.text()).trim()))
    .catch(() => fail('The server does not answer.'));
})();
