// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// JSON as a tree, with bounds, and the place of a value in it. Included by json_read.cpp alone, which has the headers.
#pragma once

namespace tslab {

namespace {

namespace json = boost::json;

constexpr std::size_t most_text = std::size_t{1} << 29U;   // bytes; enough for 65,536 epochs and as many threads
constexpr std::size_t most_json_threads = 1U << 20U;
constexpr std::size_t most_depth = 16;

/// The place of a value in the document; converted to text only for an error.
class place {
public:
    place() = default;
    place(place const& outer, std::string_view name) : outer_{&outer}, name_{name} {}
    place(place const& outer, std::size_t index) : outer_{&outer}, index_{index} {}

    [[noreturn]] void fail(std::string_view what) const
    {
        std::string where = text();
        if (where.empty())
            where = "the document";
        throw snapshot_error{where.append(": ").append(what)};
    }
    [[nodiscard]] std::string text() const
    {
        if (outer_ == nullptr)
            return {};
        std::string t = outer_->text();
        if (name_.empty())
            return t.append("[").append(std::to_string(index_)).append("]");
        return (t.empty() ? t : t.append(".")).append(name_);
    }

private:
    place const* outer_ = nullptr;
    std::string_view name_;
    std::size_t index_ = 0;
};

/// Builds a tree from the parser's events. Boost's own handler does the same, but its numbers with a fraction may
/// differ in the last bit.
struct tree_builder {
    static constexpr std::size_t max_object_size = 1U << 16U;
    static constexpr std::size_t max_array_size = most_json_threads;
    static constexpr std::size_t max_key_size = 1U << 16U;
    static constexpr std::size_t max_string_size = 1U << 20U;

    json::value_stack stack;

    using code = boost::system::error_code;
    static bool on_document_begin(code&) { return true; }
    static bool on_document_end(code&) { return true; }
    static bool on_object_begin(code&) { return true; }
    bool on_object_end(std::size_t n, code&) { return stack.push_object(n), true; }
    static bool on_array_begin(code&) { return true; }
    bool on_array_end(std::size_t n, code&) { return stack.push_array(n), true; }
    bool on_key_part(json::string_view s, std::size_t, code&) { return stack.push_chars(s), true; }
    bool on_key(json::string_view s, std::size_t, code&) { return stack.push_key(s), true; }
    bool on_string_part(json::string_view s, std::size_t, code&) { return stack.push_chars(s), true; }
    bool on_string(json::string_view s, std::size_t, code&) { return stack.push_string(s), true; }
    static bool on_number_part(json::string_view, code&) { return true; }
    bool on_int64(std::int64_t v, json::string_view, code&) { return stack.push_int64(v), true; }
    bool on_uint64(std::uint64_t v, json::string_view, code&) { return stack.push_uint64(v), true; }
    bool on_double(double, json::string_view s, code& error)
    {
        double v = 0;   // s is the complete number, since the text comes in one piece
        if (std::from_chars(s.data(), s.data() + s.size(), v).ec != std::errc{}) {
            error = json::error::exponent_overflow;
            return false;
        }
        stack.push_double(v);
        return true;
    }
    bool on_bool(bool v, code&) { return stack.push_bool(v), true; }
    bool on_null(code&) { return stack.push_null(), true; }
    static bool on_comment_part(json::string_view, code&) { return true; }
    static bool on_comment(json::string_view, code&) { return true; }
};

json::value parse(std::string_view text, json::storage_ptr const& memory)
{
    if (text.size() > most_text)
        throw snapshot_error{"the document: longer than " + std::to_string(most_text) + " bytes"};
    json::parse_options options;
    options.max_depth = most_depth;
    json::basic_parser<tree_builder> parser{options};
    parser.handler().stack.reset(memory);
    boost::system::error_code error;
    std::size_t const read = parser.write_some(false, text.data(), text.size(), error);
    if (!error && read < text.size())
        error = json::error::extra_data;
    if (error && read == text.size())
        throw snapshot_error{"byte " + std::to_string(text.size()) + ": the text ends too early"};
    if (error)
        throw snapshot_error{"byte " + std::to_string(read) + ": " + error.message()};
    return parser.handler().stack.release();
}

}

}
