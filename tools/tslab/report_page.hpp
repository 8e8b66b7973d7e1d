// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The page of `tslab serve` as one file with what it shows inside, for a browser without a server.
#pragma once
#include <string>
#include <string_view>

namespace tslab::tool {

/// JSON that may stand between <script> and </script>: the same values, without a character that HTML or an old script
/// engine would take for something else.
[[nodiscard]] std::string json_for_html(std::string_view json);

/// A page of `tslab serve` as one file. `data` is a JSON object, which the page finds in the element `recorded`.
[[nodiscard]] std::string page_with_data(std::string_view page, std::string_view data);

/// `data` is a JSON object: a history, and what is known of the recording.
[[nodiscard]] std::string report_page(std::string_view data);

}
