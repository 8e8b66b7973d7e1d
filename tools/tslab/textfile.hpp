// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A file that is replaced as a whole: a reader sees the text before or all of the new text.
#pragma once
#include <string>
#include <string_view>

namespace tslab::tool {

/// Replaces `directory`/`name` by `text`, mode 0644. Throws failure (usage) with the reason; then the old file is as it was.
void replace_file(std::string const& directory, std::string const& name, std::string_view text);

}
