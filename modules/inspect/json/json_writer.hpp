// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The one writer of JSON, for snapshots and for the answers of the tools. The text is written directly: a tree of a snapshot
// with 65,536 epochs would be many times its size.
#pragma once

export namespace tslab {

/// Appends brackets, keys and values in the order of the calls, with the commas between them. The caller makes brackets
/// match and gives each value in an object its key. The text is one line of valid UTF-8: a byte of a string that is not
/// well-formed becomes U+FFFD, and control characters are escaped. A number that is not finite becomes 0; others are the
/// shortest text that reads back as the same. Functions that write throw std::bad_alloc only. Not thread safe.
class json_writer {
public:
    /// `bracket`: { or [.
    json_writer& open(char bracket);
    /// `bracket`: } or ].
    json_writer& close(char bracket);
    json_writer& key(std::string_view name);

    /// A value: a string (escaped), a truth value, a number (0 if it is not finite), the buckets of a histogram.
    json_writer& value(std::string_view text);
    json_writer& value(char const* text) { return value(std::string_view{text}); }
    json_writer& value(bool b) { return raw(b ? "true" : "false"); }
    json_writer& value(double d);
    json_writer& value(log2_histogram const& h) { return list(h.buckets); }
    /// An array for each bucket that holds something: its largest amount, and how many it holds.
    json_writer& value(quarter_histogram const& h);
    template <std::integral T>
        requires(!std::same_as<T, bool>)
    json_writer& value(T n)
    {
        if constexpr (std::is_signed_v<T>)
            return number(static_cast<std::int64_t>(n));
        else
            return number(static_cast<std::uint64_t>(n));
    }
    /// null where there is no value.
    template <class T> json_writer& value(std::optional<T> const& v) { return v ? value(*v) : null(); }
    json_writer& null() { return raw("null"); }
    /// A value that is JSON already, such as another writer's text.
    json_writer& raw(std::string_view json);

    /// A key and its value.
    template <class T> json_writer& member(std::string_view name, T const& v) { return key(name).value(v); }

    /// An array of what `get` makes of each entry of `all`.
    template <class Range, class Get> json_writer& list(Range const& all, Get&& get)
    {
        open('[');
        for (auto const& one : all)
            value(get(one));
        return close(']');
    }
    template <class Range> json_writer& list(Range const& all)
    {
        open('[');
        for (auto const& one : all)
            value(one);
        return close(']');
    }

    /// What was written so far.
    [[nodiscard]] std::string const& text() const& noexcept { return text_; }
    [[nodiscard]] std::string text() && noexcept { return std::move(text_); }

private:
    void separate();
    json_writer& number(std::int64_t n);
    json_writer& number(std::uint64_t n);

    std::string text_;
};

}
