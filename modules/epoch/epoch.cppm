// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// tslab.epoch: phases. The ring of epochs and their eras, labels, domains, and the allocator that ties all layers
// together.
export module tslab.epoch;

export import :label;
export import :ring;
export import :allocator;
export import :domain;
export import :observer;
