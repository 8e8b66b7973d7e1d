// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/report_page.hpp"
#include "tslab/serve_assets.hpp"
#include <optional>
#include <random>
#include <stdexcept>
#include <utility>

namespace tslab::tool {

namespace {

constexpr std::string_view digits = "0123456789abcdef";

/// So that no script runs but ours, should anything else ever get into the page.
std::string nonce()
{
    std::random_device random;
    std::string out;
    for (int i = 0; i < 32; ++i)
        out += digits[random() % digits.size()];
    return out;
}

std::string percent_encoded(std::string_view text)
{
    std::string out;
    for (char const c : text) {
        auto const byte = static_cast<unsigned char>(c);
        ((out += '%') += digits[byte >> 4]) += digits[byte & 15];
    }
    return out;
}

std::string_view embedded(std::string_view path)
{
    auto const body = asset(path);
    if (!body)
        throw std::logic_error{"the page is not in this program"};
    return *body;
}

/// Licences as the text of an element.
std::string html_text(std::string_view text)
{
    std::string out;
    for (char const c : text)
        out += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
    return out;
}

/// A page of the server with what it refers to inside. Its parts are looked for in the page alone, never in what was put into it.
class page_in_one_file {
public:
    page_in_one_file(std::string_view page, std::string_view data) : rest_{page}, data_{data}, once_{nonce()} {}

    std::string make()
    {
        put_before(R"(<meta charset="utf-8">)");
        out_ += "<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                "script-src 'nonce-" +
                once_ + "'; style-src 'nonce-" + once_ +
                "'; img-src data:; base-uri 'none'; "
                "form-action 'none'\">";
        put_before("href=\"icon.svg\"");
        out_ += "href=\"data:image/svg+xml," + percent_encoded(embedded("icon.svg")) + "\"";
        while (auto const path = next(R"(<link rel="stylesheet" href=")", R"(">)"))
            out_ += "<style nonce=\"" + once_ + "\">" + std::string{embedded(*path)} + "</style>";
        put_before("<a href=\"licenses\">Licences</a>");
        out_ += "<details><summary>Licences</summary><pre id=\"licenses\">" + html_text(embedded("licenses")) +
                "</pre></details>";
        bool with_data = false;
        while (auto const path = next("<script src=\"", "\"></script>")) {
            if (!std::exchange(with_data, true))
                out_ += R"(<script type="application/json" id="recorded">)" + json_for_html(data_) + "</script>\n";
            out_ += "<script nonce=\"" + once_ + "\">" + std::string{embedded(*path)} + "</script>";
        }
        return out_.append(rest_);
    }

private:
    /// Copies the page up to `what`, and leaves `what` out.
    void put_before(std::string_view what)
    {
        auto const at = rest_.find(what);
        if (at == std::string_view::npos)
            throw std::logic_error{"the page has changed and its report has not"};
        out_ += rest_.substr(0, at);
        rest_.remove_prefix(at + what.size());
    }
    /// The same up to the next `begin`; what stands between it and `end`.
    std::optional<std::string_view> next(std::string_view begin, std::string_view end)
    {
        if (rest_.find(begin) == std::string_view::npos)
            return std::nullopt;
        put_before(begin);
        auto const size = rest_.find(end);
        if (size == std::string_view::npos)
            throw std::logic_error{"the page has changed and its report has not"};
        std::string_view const path = rest_.substr(0, size);
        rest_.remove_prefix(size + end.size());
        return path;
    }

    std::string_view rest_;
    std::string_view data_;
    std::string once_;
    std::string out_{};
};

}

std::string json_for_html(std::string_view json)
{
    std::string out;
    out.reserve(json.size());
    for (std::size_t i = 0; i < json.size(); ++i) {
        char const c = json[i];
        if (c == '<')
            out += "\\u003c";
        else if (c == '>')
            out += "\\u003e";
        else if (c == '&')
            out += "\\u0026";
        else if (json.substr(i, 3) == "\u2028" || json.substr(i, 3) == "\u2029")
            out += json[(i += 2)] == '\xa8' ? "\\u2028" : "\\u2029";
        else
            out += c;
    }
    return out;
}

std::string page_with_data(std::string_view page, std::string_view data)
{
    return page_in_one_file{embedded(page), data}.make();
}

std::string report_page(std::string_view data) { return page_with_data("index.html", data); }

}
