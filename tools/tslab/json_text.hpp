// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// JSON of the commands' own answers, one line each. Snapshots as such are written by tslab::to_json.
#pragma once
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tslab::tool {

/// Writes members and values in the order of the calls; who calls sees to it that brackets match. Always valid UTF-8: a byte
/// that is none becomes U+FFFD.
class json_text {
public:
    json_text& open(char bracket);
    json_text& close(char bracket);
    json_text& key(std::string_view name);

    json_text& value(std::string_view text);
    json_text& value(char const* text) { return value(std::string_view{text}); }
    json_text& value(bool b) { return raw(b ? "true" : "false"); }
    json_text& value(double d);
    template <std::integral T>
        requires(!std::same_as<T, bool>)
    json_text& value(T n)
    {
        return raw(std::to_string(n));
    }
    template <class T> json_text& value(std::optional<T> const& v) { return v ? value(*v) : raw("null"); }
    template <class T> json_text& member(std::string_view name, T const& v) { return key(name).value(v); }

    [[nodiscard]] std::string const& text() const noexcept { return text_; }

private:
    json_text& raw(std::string_view s);
    void separate();

    std::string text_;
};

}
