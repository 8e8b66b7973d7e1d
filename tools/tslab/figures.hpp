// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The records of a snapshot as named figures, by the names they have in its JSON.
#pragma once
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>
import tslab.inspect;

namespace tslab::tool {

/// A field that is a number.
struct figure_of {
    std::string_view name;
    tslab::field_kind kind = tslab::field_kind::gauge;
    std::optional<double> value{};   ///< nothing where it is not known
};

template <class T> struct is_optional : std::false_type {};
template <class T> struct is_optional<std::optional<T>> : std::true_type {};

template <class T> [[nodiscard]] std::optional<double> number_of(T const& field)
{
    if constexpr (is_optional<T>::value)
        return field ? number_of(*field) : std::nullopt;
    else
        return static_cast<double>(field);
}

template <class T>
concept figure_field = std::is_arithmetic_v<T> || is_optional<T>::value;

template <class S, class Visit> void for_each_figure(S const& s, std::uint64_t page_size, Visit&& visit)
{
    describe_fields(s, visit);
    if constexpr (requires { describe_derived(s, page_size, visit); })
        describe_derived(s, page_size, visit);
    if constexpr (std::is_same_v<S, tslab::class_stats>) {
        visit(tslab::field_info{"version", tslab::field_kind::identity, "", "The version of the structures behind it"},
              tslab::snapshot::struct_version);
        // In its JSON beside the other fields, while locks are timed.
        tslab::lock_timing_stats const times = s.lock_timing.value_or(tslab::lock_timing_stats{});
        for_each_figure(times, page_size, [&](tslab::field_info const& f, auto const& field) {
            using type = std::remove_cvref_t<decltype(field)>;
            visit(f, s.lock_timing ? std::optional<type>{field} : std::nullopt);
        });
    }
}

/// The name of a figure by its member; empty if the member is none.
template <class S, class T> [[nodiscard]] std::string_view name_of_figure(T S::* member)
{
    S const empty;
    std::string_view name;
    describe_fields(empty, [&](tslab::field_info const& f, auto const& field) {
        if constexpr (std::is_same_v<decltype(field), T const&>)
            if (&field == &(empty.*member))
                name = f.name;
    });
    return name;
}

/// Every numeric field of `s`, those included that it does not know.
template <class S> [[nodiscard]] std::vector<figure_of> figures_of(S const& s, std::uint64_t page_size)
{
    std::vector<figure_of> all;
    for_each_figure(s, page_size, [&](tslab::field_info const& f, auto const& field) {
        if constexpr (figure_field<std::remove_cvref_t<decltype(field)>>)
            all.push_back({f.name, f.kind, number_of(field)});
    });
    return all;
}

/// Adds every field of `s` that is a number, a text or a truth value, as its JSON has it; of an epoch its state too.
template <class S> void add_figures(json_writer& j, S const& s, std::uint64_t page_size)
{
    if constexpr (std::is_same_v<S, tslab::epoch_stats>)
        j.member("state", name_of(s.state)).member("lifecycle", name_of(s.lifecycle));
    for_each_figure(s, page_size, [&](tslab::field_info const& f, auto const& field) {
        using type = std::remove_cvref_t<decltype(field)>;
        if constexpr (is_optional<type>::value) {
            if (field)
                j.member(f.name, *field);
        } else if constexpr (std::is_arithmetic_v<type> || std::is_same_v<type, std::string>) {
            j.member(f.name, field);
        }
    });
}

}
