#!/usr/bin/env python3
"""Compares the checks of src/validate with python-stdnum, which serves as a black-box oracle.

    pip install python-stdnum
    tests/tools/validators_vs_stdnum.py [--weir target/debug/weir] [--count 10000] [NAME ...]

For each identifier that both know, values are made at random: half of them finished so that
the oracle accepts them where that can be done by trying check characters, a quarter mutated
by one character, the rest left as they came. Each value goes through `weir scan` with a pack
of one rule that takes the whole line and names the validator: what is dropped is what the
validator calls invalid. Run by hand; `make test` neither needs Python packages nor runs this.
"""

import argparse
import importlib
import json
import pathlib
import random
import subprocess
import sys
import tempfile

D, U = "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
HEX = "0123456789abcdef"

# validator: (oracle module, shape, places of check characters, alphabet of those)
# In a shape, # is a digit, A a letter, X either; other characters stand for themselves.
# {date:...} writes a date that the identifier would hold.
KNOWN = {
    "ar_cuit": ("ar.cuit", "20#########", 1, D),
    "at_svnr": ("at.vnr", "####{ddmmyy}", "fourth", D),
    "at_tin": ("at.tin", "#########", 1, D),
    "au_abn": ("au.abn", "###########", 2, D),
    "au_acn": ("au.acn", "#########", 1, D),
    "au_tfn": ("au.tfn", "#########", 1, D),
    "baltic_code": ("ee.ik", "3{yymmdd}####", 1, D),
    "be_nrn": ("be.nn", "{yymmdd}#####", 2, D),
    "be_vat": ("be.vat", "0#########", 2, D),
    "bg_egn": ("bg.egn", "{yymmdd}####", 1, D),
    "br_cnpj": ("br.cnpj", "##############", 2, D),
    "br_cpf": ("br.cpf", "###########", 2, D),
    "ca_sin": ("ca.sin", "#########", 1, D),
    "ch_ahv": ("ch.ssn", "756##########", 1, D),
    "ch_uid": ("ch.uid", "CHE#########", 1, D),
    "cl_rut": ("cl.rut", "#########", 1, D + "K"),
    "cn_id": ("cn.ric", "110105{yyyymmdd}####", 1, D + "X"),
    "co_nit": ("co.nit", "##########", 1, D),
    "cy_tin": ("cy.vat", "########A", 1, U),
    "cz_rodne_cislo": ("cz.rc", "{yymmdd}####", 1, D),
    "de_steuer_id": ("de.idnr", "###########", 1, D),
    "dk_cvr": ("dk.cvr", "########", 1, D),
    "do_cedula": ("do.cedula", "###########", 1, D),
    "ec_cedula": ("ec.ci", "##########", 1, D),
    "es_cif": ("es.cif", "B########", 1, D),
    "es_dni_nie": ("es.dni", "########A", 1, U),
    "fi_hetu": ("fi.hetu", "{ddmmyy}-###X", 1, D + U),
    "fi_ytunnus": ("fi.ytunnus", "########", 1, D),
    "fr_nir": ("fr.nir", "1{yymm}###########", 2, D),
    "fr_siret": ("fr.siren", "#########", 1, D),
    "fr_spi": ("fr.nif", "0############", 3, D),
    "gr_afm": ("gr.vat", "#########", 1, D),
    "gr_amka": ("gr.amka", "{ddmmyy}#####", 1, D),
    "hr_oib": ("hr.oib", "###########", 1, D),
    "iban": ("iban", "DE####################", None, D),
    "ie_pps": ("ie.pps", "#######A", 1, U),
    "il_id": ("il.idnr", "#########", 1, D),
    "id_nik": ("id.nik", "3171{ddmmyy}####", None, D),
    "imei": ("imei", "35#############", 1, D),
    "in_aadhaar": ("in_.aadhaar", "############", 1, D),
    "in_gstin": ("in_.gstin", "27AAPAU####A1ZX", 1, D + U),
    "is_kennitala": ("is_.kennitala", "{ddmmyy}##X0", None, D),
    "isin": ("isin", "US##########", 1, D),
    "it_codice_fiscale": ("it.codicefiscale", "RSSMRA85T10A###X", 1, U),
    "jmbg": ("si.emso", "{ddmmyyy}######", 1, D),
    "jp_my_number": ("jp.in_", "############", 1, D),
    "kr_rrn": ("kr.rrn", "{yymmdd}1######", 1, D),
    "lei": ("lei", "213800XXXXXXXXXXXX##", 2, D),
    "luhn": ("luhn", "################", 1, D),
    "lv_code": ("lv.pvn", "{ddmmyy}-1####", 1, D),
    "mx_curp": ("mx.curp", "BOXW{yymmdd}HNERXN0#", 1, D),
    "mx_rfc": ("mx.rfc", "GODE{yymmdd}XXX", 1, D + "A"),
    "my_nric": ("my.nric", "{yymmdd}14####", None, D),
    "nl_bsn": ("nl.bsn", "#########", 1, D),
    "no_fnr": ("no.fodselsnummer", "{ddmmyy}#####", 2, D),
    "no_orgnr": ("no.orgnr", "9########", 1, D),
    "nz_ird": ("nz.ird", "#########", 1, D),
    "pe_ruc": ("pe.ruc", "20#########", 1, D),
    "pl_nip": ("pl.nip", "##########", 1, D),
    "pl_pesel": ("pl.pesel", "{yymmdd}#####", 1, D),
    "pl_regon": ("pl.regon", "#########", 1, D),
    "pt_nif": ("pt.nif", "2########", 1, D),
    "ro_cnp": ("ro.cnp", "1{yymmdd}12####", 1, D),
    "ru_inn": ("ru.inn", "##########", 1, D),
    "se_orgnr": ("se.orgnr", "##########", 1, D),
    "se_personnummer": ("se.personnummer", "{yymmdd}-####", 1, D),
    "si_tax": ("si.ddv", "########", 1, D),
    "th_id": ("th.pin", "#############", 1, D),
    "tr_tckn": ("tr.tckimlik", "###########", 2, D),
    "tr_vkn": ("tr.vkn", "##########", 1, D),
    "ua_rnokpp": ("ua.rntrc", "##########", 1, D),
    "uk_nhs": ("gb.nhs", "##########", 1, D),
    "uk_utr": ("gb.utr", "##########", None, D),
    "us_aba": ("us.rtn", "#########", 1, D),
    "us_ein": ("us.ein", "#########", None, D),
    "us_itin": ("us.itin", "9########", None, D),
    "us_ssn": ("us.ssn", "#########", None, D),
    "ve_rif": ("ve.rif", "V#########", 1, D),
    "za_id": ("za.idnr", "{yymmdd}####0##", 1, D),
}


def made(shape, rng):
    """A value of that shape, with a date in it where the shape asks for one."""
    year, month, day = rng.randint(1940, 1999), rng.randint(1, 12), rng.randint(1, 28)
    dates = {
        "yymmdd": f"{year % 100:02}{month:02}{day:02}",
        "ddmmyy": f"{day:02}{month:02}{year % 100:02}",
        "ddmmyyy": f"{day:02}{month:02}{year % 1000:03}",
        "yyyymmdd": f"{year}{month:02}{day:02}",
        "yyyy": str(year),
        "yymm": f"{year % 100:02}{month:02}",
    }
    for name, text in dates.items():
        shape = shape.replace("{" + name + "}", "\x00" + text + "\x00")
    out, literal = [], False
    for char in shape:
        if char == "\x00":
            literal = not literal
        elif literal or char not in "#X":
            out.append(char)
        else:
            out.append(rng.choice(D if char == "#" else D + U))
    return "".join(out)


def finished(value, oracle, checks, alphabet, rng):
    """The value with check characters that the oracle accepts, if there are any."""
    if checks == "fourth":
        made = [value[:3] + digit + value[4:] for digit in D]
        return next((value for value in made if oracle.is_valid(value)), value)
    if checks is None:
        for _ in range(40):
            at = rng.randrange(len(value))
            if value[at] in D:
                value = value[:at] + rng.choice(D) + value[at + 1 :]
            if oracle.is_valid(value):
                break
        return value
    space = [""]
    for _ in range(checks):
        space = [start + char for start in space for char in alphabet]
    rng.shuffle(space)
    for end in space:
        if oracle.is_valid(value[:-checks] + end):
            return value[:-checks] + end
    return value


def mutated(value, rng):
    at = rng.randrange(len(value))
    old = value[at]
    pool = D if old in D else U if old in U else old
    return value[:at] + rng.choice(pool) + value[at + 1 :]


RULE = """rules:
  - id: pii.under_test
    name: The validator under test
    message: the validator calls it valid
    family: pii
    type: pii.under_test
    severity: low
    confidence: low
    views: [raw]
    regex: '(?m:^)([^\\n]{1,64})'
    group: 1
    validator: %s
    tags: [OWASP-LLM02]
    references: ["https://arthurdejong.org/python-stdnum/"]
    examples: ["a", "b", "c"]
    negative_examples: ["a", "b", "c"]
"""


def accepted(weir, name, values):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "pii" / "test.yml"
        path.parent.mkdir()
        path.write_text(RULE % name)
        lines = "\n".join(json.dumps({"id": str(n), "text": v}) for n, v in enumerate(values))
        args = [weir, "scan", "--patterns", folder, "--input", "jsonl", "--output", "jsonl", "-"]
        run = subprocess.run(args, input=lines + "\n", capture_output=True, text=True)
        if run.returncode not in (0, 1):
            sys.exit(run.stderr)
        return [bool(json.loads(line)["findings"]) for line in run.stdout.splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weir", default="target/debug/weir")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    for name in args.names or sorted(KNOWN):
        module, shape, checks, alphabet = KNOWN[name]
        try:
            oracle = importlib.import_module("stdnum." + module)
        except ImportError:
            print(f"{name:20} the oracle has no {module}")
            continue
        rng = random.Random(args.seed)
        values = []
        while len(values) < args.count:
            value = made(shape, rng)
            turn = len(values) % 4
            if turn < 3:
                value = finished(value, oracle, checks, alphabet, rng)
            if turn == 2:
                value = mutated(value, rng)
            values.append(value)
        truth = [oracle.is_valid(value) for value in values]
        ours = accepted(args.weir, name, values)
        wrong = [(v, t) for v, t, o in zip(values, truth, ours) if t != o]
        share = 100 * (1 - len(wrong) / len(values))
        missed = [v for v, t in wrong if t][:3]
        extra = [v for v, t in wrong if not t][:3]
        print(
            f"{name:20} {share:7.2f} % agree, {sum(truth)} valid by {module}"
            + (f"; refused here: {missed}" if missed else "")
            + (f"; taken here: {extra}" if extra else "")
        )


if __name__ == "__main__":
    main()
