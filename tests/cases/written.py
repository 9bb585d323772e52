"""Tables as people have them, written here: delimiters, encodings, units, JSON, FHIR. None: it must be
refused.
"""

from __future__ import annotations

import json
from typing import Any

from proofward.zkml.manifest import Feature

Rows = list[list[float]]

FEATURES = [
    Feature(name="age", unit="a", loinc="30525-0"),
    Feature(name="bp", unit="mm[Hg]", loinc="8480-6"),
    Feature(name="chol", unit="mg/dL", loinc="2093-3"),
    Feature(name="st", loinc="8867-4"),
]
TWO: Rows = [[63, 145, 233, 2.5], [41, 130, 204, 1.5]]
ONE: Rows = TWO[:1]
HEAD = "age,bp,chol,st\n"
BODY = "63,145,233,2.5\n41,130,204,1.5\n"


def tables() -> dict[str, tuple[bytes, Rows | None]]:
    """Content and records, by file name."""
    found = {f"{name}.csv": (_bytes(text), rows) for name, (text, rows) in _CSV.items()}
    found |= {f"{name}.json": (json.dumps(value).encode(), rows) for name, (value, rows) in _json().items()}
    found |= {
        f"fhir_{name}.json": (json.dumps(value).encode(), rows) for name, (value, rows) in _fhir().items()
    }
    return found


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


_CSV: dict[str, tuple[str | bytes, Rows | None]] = {
    "plain": (HEAD + BODY, TWO),
    "no_header": (BODY, TWO),
    "one_record": ("63,145,233,2.5", ONE),
    "other_order": ("st,chol,bp,age\n2.5,233,145,63\n", ONE),
    "crlf": ((HEAD + BODY).replace("\n", "\r\n"), TWO),
    "old_mac": ((HEAD + BODY).replace("\n", "\r"), TWO),
    "no_last_newline": (HEAD + BODY.rstrip(), TWO),
    "blank_lines": ("\n" + HEAD + "\n" + BODY + "\n\n", TWO),
    "blanks_around": ("age , bp, chol ,st\n 63, 145 ,233, 2.5\n", ONE),
    "quoted": ('"age","bp","chol","st"\n"63","145","233","2.5"\n', ONE),
    "quoted_header": ('"age","bp","chol","st"\n63,145,233,2.5\n', ONE),
    "bom": ("\ufeff" + HEAD + BODY, TWO),
    "utf16": ((HEAD + BODY).encode("utf-16"), TWO),
    "utf16_tabs": ((HEAD + BODY).replace(",", "\t").encode("utf-16"), TWO),
    "excel_sep": ("sep=;\n" + (HEAD + BODY).replace(",", ";"), TWO),
    "excel_sep_then_blank": ("sep=;\n\n" + (HEAD + BODY).replace(",", ";"), TWO),
    "excel_sep_behind_bom": ("\ufeffsep=;\n" + (HEAD + BODY).replace(",", ";"), TWO),
    "excel_sep_tab": ("sep=\t\n" + (HEAD + BODY).replace(",", "\t"), TWO),
    "semicolons": ((HEAD + BODY).replace(",", ";"), TWO),
    "semicolons_decimal_commas": ("age;bp;chol;st\n63;145;233;2,5\n41;130;204;1,5\n", TWO),
    "tabs_decimal_commas": ("age\tbp\tchol\tst\n63\t145\t233\t2,5\n", ONE),
    "bars": ((HEAD + BODY).replace(",", "|"), TWO),
    "exponent": ("6.3e1,1.45E2,233,2.5\n", ONE),
    "plus_sign": ("+63,145,233,+2.5\n", ONE),
    "trailing_point": ("63.,145.,233.,2.50\n", ONE),
    "leading_point": ("63,145,233,.5\n", [[63, 145, 233, 0.5]]),
    "negative": ("63,145,233,-2.5\n", [[63, 145, 233, -2.5]]),
    "umlaut_windows": ("alter,bp,chol,st\nfür,1,2,3\n".encode("cp1252"), None),
    "units_row": (HEAD + "years,mmHg,mg/dl,\n" + BODY, TWO),
    "units_in_header": ("age [years],bp [mmHg],chol [mg/dL],st\n" + BODY, TWO),
    "units_row_brackets": (HEAD + "[a],[mm[Hg]],[mg/dL],\n" + BODY, TWO),
    "units_converted": (
        "age [mo],bp [kPa],chol [g/L],st\n756,16,2.33,2.5\n",
        [[63, 16000 / 133.322387415, 233, 2.5]],
    ),
    "units_substance": ("age,bp,chol [mmol/L],st\n63,145,6.03,2.5\n", None),
    "units_slip": ("age,bp,chol [Mg/dL],st\n63,145,233,2.5\n", None),
    "missing_column": ("age,bp,chol\n63,145,233\n", None),
    "misspelt_column": ("age,bp,cholesterol,st\n63,145,233,2.5\n", None),
    "capital_column": ("Age,bp,chol,st\n63,145,233,2.5\n", None),
    "extra_column": ("age,bp,chol,st,sex\n63,145,233,2.5,1\n", None),
    "extra_no_header": ("63,145,233,2.5,1\n", None),
    "short_no_header": ("63,145,233\n", None),
    "column_twice": ("age,bp,chol,chol\n63,145,233,2.5\n", None),
    "index_column": (",age,bp,chol,st\n0,63,145,233,2.5\n", None),
    "column_numbers": ("0,1,2,3\n" + BODY, None),
    "column_numbers_from_one": ("1,2,3,4\n" + BODY, None),
    "header_and_number": ("age,bp,chol,4\n" + BODY, None),
    "torn_row": (HEAD + "63,145,233\n", None),
    "long_row": (HEAD + "63,145,233,2.5,9\n", None),
    "two_headers": (HEAD + HEAD + BODY, None),
    "header_only": (HEAD, None),
    "empty": ("", None),
    "blank": (" \n\n", None),
    "no_value_among_records": (HEAD + "63,145,233,2.5\n,,,\n41,130,204,1.5\n", None),
    "no_value_quoted": (HEAD + '"","","",""\n' + BODY, None),
    "no_value_first": (",,,\n" + BODY, None),
    "no_value_before_header": (",,,\n" + HEAD + BODY, TWO),
    "no_value_at_the_end": (HEAD + BODY + ",,,\n , ,,\n", TWO),
    "missing_blank": (HEAD + "63,,233,2.5\n", None),
    "missing_question": (HEAD + "63,?,233,2.5\n", None),
    "missing_na": (HEAD + "63,NA,233,2.5\n", None),
    "missing_minus": (HEAD + "63,-,233,2.5\n", None),
    "less_than": (HEAD + "63,145,<5,2.5\n", None),
    "at_least": (HEAD + "63,145,>=200,2.5\n", None),
    "about": (HEAD + "63,145,~200,2.5\n", None),
    "percent": (HEAD + "63,145,233,45%\n", None),
    "with_unit": (HEAD + "63 years,145,233,2.5\n", None),
    "currency": (HEAD + "63,145,$233,2.5\n", None),
    "thousands": (HEAD + '63,145,"1,233.5",2.5\n', None),
    "thousands_blank": (HEAD + "63,145,1 233,2.5\n", None),
    "thousands_apostrophe": (HEAD + "63,145,1'233,2.5\n", None),
    "commas_or_thousands": ("age;bp;chol;st\n63;145;1,233;2,500\n", None),
    "both_decimals": ("age;bp;chol;st\n63;145;233,5;2.5\n", None),
    "date": (HEAD + "1963-02-01,145,233,2.5\n", None),
    "date_dots": (HEAD + "01.02.1963,145,233,2.5\n", None),
    "time": (HEAD + "63,145,12:30,2.5\n", None),
    "infinity": (HEAD + "63,145,inf,2.5\n", None),
    "huge": (HEAD + "63,145,1e999,2.5\n", None),
    "boolean": (HEAD + "63,145,233,TRUE\n", None),
    "fraction": (HEAD + "63,145,233,1/2\n", None),
    "range": (HEAD + "63,145,200-240,2.5\n", None),
    "blood_pressure": (HEAD + "63,145/90,233,2.5\n", None),
    "word": (HEAD + "63,high,233,2.5\n", None),
    "hexadecimal": (HEAD + "0x3f,145,233,2.5\n", None),
    "underscore": (HEAD + "63,1_45,233,2.5\n", None),
    "full_width_digits": (HEAD + "６３,145,233,2.5\n", None),
    "arabic_digits": (HEAD + "٦٣,145,233,2.5\n", None),
    "minus_sign": (HEAD + "63,145,233,−2.5\n", None),
    "comment": ("# made by hand\n" + HEAD + BODY, None),
    "title_line": ("Ward 7\n" + HEAD + BODY, None),
    "nul": (HEAD + "63,145,233,2.5\0\n", None),
    "open_quote": (HEAD + '"63,145,233,2.5\n', None),
    "quoted_newline": (HEAD + '"63\n",145,233,2.5\n', None),
    "blanks_between": ("63 145 233 2.5\n", None),
    "excel_error": (HEAD + "63,145,#REF!,2.5\n", None),
    "workbook": (b"PK\x03\x04" + bytes(40), None),
    "old_workbook": (b"\xd0\xcf\x11\xe0" + bytes(40), None),
    "gzip": (b"\x1f\x8b\x08" + bytes(40), None),
    "parquet": (b"PAR1" + bytes(40), None),
    "one_feature_in_two_units": ("age [a],age [mo],bp,chol,st\n63,700,145,233,2.5\n", None),
    "unit_where_the_model_has_none": ("age,bp,chol,st [mV]\n63,145,233,2.5\n", None),
    "units_row_where_the_model_has_none": (HEAD + "a,mmHg,mg/dL,mV\n" + BODY, None),
    "unit_with_brackets": ("age [a],bp [mm[Hg]],chol [mg/dL],st\n" + BODY, TWO),
    "points_between_thousands": ("age;bp;chol;st\n63;145;1.233;2.500\n", None),
    "points_between_thousands_and_decimal_commas": ("age;bp;chol;st\n63;145;1.233;2,5\n", None),
    "three_decimals": ("age;bp;chol;st\n63.0;145.000;233.000;2.500\n", ONE),
    "delimiter_behind_each_record": ("age,bp,chol,st\n63,145,233,2.5,\n", ONE),
    "delimiter_behind_all": ("age,bp,chol,st,\n63,145,233,2.5,\n", None),
    "row_names_of_r": (HEAD + "1,63,145,233,2.5\n2,41,130,204,1.5\n", None),
    "column_groups": ("vitals,vitals,labs,labs\n" + HEAD + BODY, None),
    "description_row": (HEAD + "years,pressure,cholesterol,depression\n" + BODY, None),
    "header_between_commas_body_between_semicolons": (HEAD + "63;145;233;2.5\n", None),
    "plus_minus": (HEAD + "63,145,233±3,2.5\n", None),
    "negative_in_brackets": (HEAD + "63,145,233,(2.5)\n", None),
    "formula": (HEAD + '="63",145,233,2.5\n', None),
    "no_break_space": ((HEAD + "63\u00a0,145,233,2.5\n"), ONE),
    "zero_width_space": (HEAD + "\u200b63,145,233,2.5\n", None),
    "line_separator": (HEAD + "63,145,233,2.5\u202841,130,204,1.5\n", None),
    "exponent_of_fortran": (HEAD + "6.3D1,145,233,2.5\n", None),
    "missing_of_sas": (HEAD + "63,.A,233,2.5\n", None),
    "missing_of_excel": (HEAD + "63,#N/A,233,2.5\n", None),
    "utf32": ((HEAD + BODY).encode("utf-32"), None),
    "word_and_blanks_first": ("withdrawn,,,\n" + BODY, None),
    "not_done_first": ("ND,ND,ND,ND\n" + BODY, None),
    "not_done_under_a_header": (HEAD + "63,not done,233,2.5\n", None),
    "missing_of_pandas": (HEAD + "63,<NA>,233,2.5\n", None),
    "page_of_html": ("<html><table><tr><td>63</td></tr></table></html>", None),
    "bundle_in_xml": ('<?xml version="1.0"?><Bundle xmlns="http://hl7.org/fhir"/>', None),
    "json_lines": ('{"age":63,"bp":145,"chol":233,"st":2.5}\n' * 2, None),
    "row_names_with_an_empty_header": ('"","age","bp","chol","st"\n"1",63,145,233,2.5\n', None),
    "transposed": ("age,63,41\nbp,145,130\nchol,233,204\nst,2.5,1.5\n", None),
    "mean_row": (HEAD + BODY + "mean,1,2,3\n", None),
    "single_quotes": (HEAD + "'63','145','233','2.5'\n", None),
    "mangled_twin": ("age,bp,chol,chol.1,st\n63,145,233,233,2.5\n", None),
    "utf16_without_bom": ((HEAD + BODY).encode("utf-16-le"), None),
    "bom_twice": ("\ufeff\ufeff" + HEAD + BODY, TWO),
    "cyrillic_twin_of_a_name": ("\u0430ge,bp,chol,st\n63,145,233,2.5\n", None),
    "per_mille": (HEAD + "63,145,233,45‰\n", None),
    "minus_behind": (HEAD + "63,145,233,2.5-\n", None),
    "semicolons_behind_all": ("63;145;233;2.5;\n41;130;204;1.5;\n", None),
    "header_of_semicolons_body_of_commas": ("age;bp;chol;st\n63,145,233,2.5\n", None),
    "units_in_parentheses": ("age (years),bp (mmHg),chol (mg/dL),st\n63,145,233,2.5\n", None),
    "types_row": (HEAD + "int,int,int,float\n" + BODY, None),
    "exponents_and_decimal_commas": ("age;bp;chol;st\n6,3E+01;1,45e2;2,33E2;2,5\n", ONE),
    "month_in_words": (HEAD + "01-Feb-63,145,233,2.5\n", None),
    "index_from_zero_no_header": ("0,63,145,233,2.5\n1,41,130,204,1.5\n", None),
    "carriage_returns_doubled": ((HEAD + BODY).replace("\n", "\r\r\n"), TWO),
    "quoted_decimal_comma": (HEAD + '63,145,233,"2,5"\n', None),
    "quotes_in_a_name": ('"""age""",bp,chol,st\n' + BODY, None),
    "quote_within_a_field": (HEAD + '63,14"5,233,2.5\n', None),
    "titre": (HEAD + "63,145,1:80,2.5\n", None),
    "abnormal_flag": (HEAD + "63,145 H,233,2.5\n", None),
    "pending": (HEAD + "63,145,pending,2.5\n", None),
    "dash_of_print": (HEAD + "63,\u2013,233,2.5\n", None),
    "soft_hyphen": (HEAD + "6\u00ad3,145,233,2.5\n", None),
    "vulgar_fraction": (HEAD + "63,145,233,2\u00bd\n", None),
    "written_the_other_way": (HEAD + "\u202e63,145,233,2.5\n", None),
    "end_of_dos_file": (HEAD + BODY + "\x1a", None),
    "table_of_markdown": ("| age | bp | chol | st |\n|---|---|---|---|\n| 63 | 145 | 233 | 2.5 |\n", None),
    "relation_of_weka": ("@relation x\n@attribute age numeric\n@data\n63,145,233,2.5\n", None),
    "pairs_of_libsvm": ("1 1:63 2:145 3:233 4:2.5\n", None),
    "message_of_hl7": ("MSH|^~\\&|LAB|x|y\nOBX|1|NM|2093-3||233|mg/dL\n", None),
    "names_of_another_model": ("V1,V2,V3,V4\n" + BODY, None),
    "one_name_in_two_cases": ("age,Age,bp,chol,st\n63,63,145,233,2.5\n", None),
    "one_name_but_for_a_blank": ("age,age ,bp,chol,st\n63,64,145,233,2.5\n", None),
    "total_row": (HEAD + BODY + "total,275,437,4.0\n", None),
}


def _json() -> dict[str, tuple[Any, Rows | None]]:
    record = {"age": 63, "bp": 145, "chol": 233, "st": 2.5}
    return {
        "list": ([63, 145, 233, 2.5], ONE),
        "key_twice_but_for_a_blank": ([record, {**record, "age ": 99}], None),
        "columns": ({"age": [63], "bp": [145], "chol": [233], "st": [2.5]}, None),
        "split": ({"columns": ["age", "bp", "chol", "st"], "data": [[63, 145, 233, 2.5]]}, None),
        "value_and_unit": ({**record, "age": {"value": 63, "unit": "a"}}, None),
        "lists": ([[63, 145, 233, 2.5], [41, 130, 204, 1.5]], TWO),
        "object": (record, ONE),
        "object_other_order": (dict(reversed(record.items())), ONE),
        "objects": ([record, {"age": 41, "bp": 130, "chol": 204, "st": 1.5}], TWO),
        "object_missing": ({**record, "bp": None}, None),
        "object_text": ({**record, "bp": "145"}, None),
        "object_boolean": ({**record, "st": True}, None),
        "object_less": ({"age": 63}, None),
        "object_extra": ({**record, "sex": 1}, None),
        "objects_uneven": ([record, {"age": 41}], None),
        "nested": ({"patient": record}, None),
        "lists_uneven": ([[63, 145, 233, 2.5], [41]], None),
        "text": ("63,145,233,2.5", None),
        "number": (63, None),
        "nothing": ([], None),
    }


CODES = {
    "age": ("30525-0", "a"),
    "bp": ("8480-6", "mm[Hg]"),
    "chol": ("2093-3", "mg/dL"),
    "st": ("8867-4", None),
}


def observation(name: str, value: float, subject: str = "Patient/1", **changes: Any) -> dict[str, Any]:
    """A final Observation of one of the features."""
    code, unit = CODES[name]
    quantity: dict[str, Any] = {"value": value}
    if unit:
        quantity |= {"unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
    made = {
        "resourceType": "Observation",
        "status": "final",
        "subject": {"reference": subject},
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "valueQuantity": {**quantity, **changes.pop("quantity", {})},
    }
    return {key: part for key, part in {**made, **changes}.items() if part is not None}


def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    """A Bundle of resources."""
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in resources]}


def patient(subject: str, *values: float) -> list[dict[str, Any]]:
    """All four results of one patient."""
    return [observation(name, value, subject) for name, value in zip(CODES, values, strict=True)]


URN = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"


def _said_of(one: dict[str, Any], subject: str, **more: str) -> dict[str, Any]:
    return {**one, "subject": {"reference": subject, **more}}


def _asked(method: str, results: list[dict[str, Any]]) -> dict[str, Any]:
    """A transaction that asks for `method` of each result."""
    entries = [{"resource": one, "request": {"method": method, "url": "Observation"}} for one in results]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _fhir() -> dict[str, tuple[Any, Rows | None]]:
    one, two = patient("Patient/1", *TWO[0]), patient("Patient/2", *TWO[1])
    rest = [observation("age", 63), observation("chol", 233), observation("st", 2.5)]

    def pressure(**changes: Any) -> dict[str, Any]:
        return bundle(*rest, observation("bp", 145, **changes))

    def coded(code: str, system: str = "http://loinc.org") -> dict[str, Any]:
        return {"coding": [{"system": system, "code": code}]}

    panel = observation(
        "bp",
        0,
        code=coded("85354-9"),
        valueQuantity=None,
        component=[{"code": coded("8480-6"), "valueQuantity": observation("bp", 145)["valueQuantity"]}],
    )
    negated = [{"url": "http://example.org/not", "valueBoolean": True}]
    both = [*panel["component"], {**panel["component"][0], "code": coded("8462-4")}]
    kpa = {"unit": "kPa", "code": "kPa"}
    return {
        "bundle": (bundle(*one), ONE),
        "two_patients": (bundle(*one, *two), TWO),
        "mixed_order": (bundle(*[x for pair in zip(one, two, strict=True) for x in pair][::-1]), TWO[::-1]),
        "list": (one, ONE),
        "with_patient": (bundle({"resourceType": "Patient", "id": "1"}, *one), ONE),
        "component": (bundle(*rest, panel), ONE),
        "converted": (pressure(quantity={"value": 20, **kpa}), [[63, 20000 / 133.322387415, 233, 2.5]]),
        "amended": (pressure(status="amended"), ONE),
        "no_subjects": (bundle(*[{k: v for k, v in o.items() if k != "subject"} for o in one]), ONE),
        "integer": (
            bundle(*one[:3], observation("st", 0, valueQuantity=None, valueInteger=72)),
            [[63, 145, 233, 72]],
        ),
        "single": (one[0], None),
        "comparator": (pressure(quantity={"comparator": "<"}), None),
        "preliminary": (pressure(status="preliminary"), None),
        "entered_in_error": (pressure(status="entered-in-error"), None),
        "substance": (
            bundle(one[0], one[1], one[3], observation("chol", 6, quantity={"code": "mmol/L"})),
            None,
        ),
        "no_unit": (pressure(quantity={"unit": None, "system": None, "code": None}), None),
        "unit_without_code": (pressure(quantity={"code": None, "system": None}), None),
        "unit_of_other_system": (pressure(quantity={"system": "http://example.org/units"}), None),
        "unit_where_none_is": (
            bundle(
                *one[:3],
                observation("st", 72, quantity={"system": "http://unitsofmeasure.org", "code": "/min"}),
            ),
            None,
        ),
        "absent": (pressure(valueQuantity=None, dataAbsentReason={"text": "not measured"}), None),
        "no_value": (pressure(valueQuantity=None), None),
        "text_value": (pressure(valueQuantity=None, valueString="145"), None),
        "truth_value": (pressure(valueQuantity=None, valueBoolean=True), None),
        "coded_value": (pressure(valueQuantity=None, valueCodeableConcept={"text": "high"}), None),
        "twice": (bundle(*one, observation("bp", 150)), None),
        "two_units": (
            bundle(*one, *two[:1], observation("bp", 17, "Patient/2", quantity=kpa), *two[2:]),
            None,
        ),
        "code_of_other_system": (pressure(code=coded("8480-6", "http://snomed.info/sct")), None),
        "wrong_check_digit": (pressure(code=coded("8480-7")), None),
        "unknown_code": (bundle(*one, observation("bp", 1, code=coded("718-7"))), None),
        "extra_field": (pressure(mood="good"), None),
        "modified": (
            pressure(modifierExtension=[{"url": "http://example.org/not", "valueBoolean": True}]),
            None,
        ),
        "component_modified": (
            bundle(*rest, {**panel, "component": [{**panel["component"][0], "modifierExtension": negated}]}),
            None,
        ),
        "absent_beside_a_component": (bundle(*rest, {**panel, "dataAbsentReason": {"text": "panel"}}), ONE),
        "component_of_another_code": (bundle(*rest, {**panel, "component": both}), None),
        "two_loinc_codes": (
            pressure(code={"coding": [*coded("8480-6")["coding"], *coded("8462-4")["coding"]]}),
            None,
        ),
        "code_of_snomed_too": (
            pressure(
                code={"coding": [*coded("8480-6")["coding"], *coded("1", "http://snomed.info/sct")["coding"]]}
            ),
            ONE,
        ),
        "last_page": (
            {**bundle(*one), "link": [{"relation": "previous", "url": "http://example.org/1"}]},
            None,
        ),
        "total_of_more": ({**bundle(*one), "type": "searchset", "total": 40}, None),
        "total_of_these": ({**bundle(*one), "type": "searchset", "total": 4}, ONE),
        "two_bundles": ([bundle(*one), bundle(*two)], None),
        "not_equal_comparator": (pressure(quantity={"comparator": "ad"}), None),
        "group": (bundle(*[_said_of(o, "Group/1") for o in one]), None),
        "group_behind_a_urn": (bundle(*[_said_of(o, URN, type="Group") for o in one]), None),
        "group_spelt_as_a_patient": (bundle(*[_said_of(o, "Patient/1", type="Group") for o in one]), None),
        "patient_behind_a_urn": (bundle(*[_said_of(o, URN, type="Patient") for o in one]), ONE),
        "identifier_for_subject": (
            bundle(*[{**o, "subject": {"identifier": {"value": "1"}}} for o in one]),
            None,
        ),
        "history": ({**bundle(*one), "type": "history"}, None),
        "no_status": (pressure(status=None), None),
        "no_observation": (bundle({"resourceType": "Patient", "id": "1"}), None),
        "empty_bundle": (bundle(), None),
        "page": ({**bundle(*one), "link": [{"relation": "next", "url": "http://example.org/2"}]}, None),
        "bundle_in_bundle": (bundle(bundle(*one)), None),
        "no_resource_type": (bundle(*one, {"status": "final"}), None),
        "contained_subject": (bundle(*[_said_of(o, "#p") for o in one]), None),
        "subject_spelt_twice": (
            bundle(*one[:2], *[_said_of(o, "http://example.org/fhir/Patient/1") for o in one[2:]]),
            None,
        ),
        "subject_of_another_version": (
            bundle(*one[:2], *[_said_of(o, "Patient/1/_history/2") for o in one[2:]]),
            None,
        ),
        "two_servers": (
            bundle(
                *[_said_of(o, "http://a.example/Patient/1") for o in one],
                *[_said_of(o, "http://b.example/Patient/1") for o in two],
            ),
            TWO,
        ),
        "some_without_subject": (
            bundle(*one[:2], *[{k: v for k, v in o.items() if k != "subject"} for o in one[2:]]),
            None,
        ),
        "device": (bundle(*[_said_of(o, "Device/1") for o in one]), None),
        "focus": (pressure(focus=[{"reference": "RelatedPerson/9"}]), None),
        "value_as_text": (pressure(quantity={"value": "145"}), None),
        "true_for_one": (
            bundle(*one[:3], observation("st", 0, valueQuantity=None, valueInteger=True)),
            None,
        ),
        "value_and_reason_for_none": (pressure(dataAbsentReason={"text": "not done"}), None),
        "deleted": (_asked("DELETE", one), None),
        "transaction": (_asked("POST", one), ONE),
        "among_records": ([{"age": 63}, one[0]], None),
    }
