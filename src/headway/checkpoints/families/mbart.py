"""mBART (Liu et al. 2020, https://arxiv.org/abs/2001.08210): BART with norms before the sublayers and at the end."""

from dataclasses import replace

from headway.checkpoints.config_reader import ConfigReader
from headway.checkpoints.families.bart import model_config, model_rules, read_head, read_model
from headway.checkpoints.family import Family
from headway.models.config import ModelConfig
from headway.tokenizers.formats.base import FAIRSEQ_TOKENS, Languages
from headway.tokenizers.formats.sentencepiece import SentencePieces, fairseq_pieces

__all__ = ["FAMILY"]

_LANGUAGES = """
    ar_AR cs_CZ de_DE en_XX es_XX et_EE fi_FI fr_XX gu_IN hi_IN it_IT ja_XX kk_KZ ko_KR lt_LT lv_LV my_MM ne_NP
    nl_XX ro_RO ru_RU si_LK tr_TR vi_VN zh_CN
"""
_MORE_LANGUAGES = """
    af_ZA az_AZ bn_IN fa_IR he_IL hr_HR id_ID ka_GE km_KH mk_MK ml_IN mn_MN mr_IN pl_PL ps_AF pt_XX sv_SE sw_KE
    ta_IN te_IN th_TH tl_XX uk_UA ur_PK xh_ZA gl_ES sl_SI
"""


def _pieces(config: ConfigReader) -> SentencePieces:
    """The tokenizer of mBART: the language follows the text."""
    return _with_languages(tuple(_LANGUAGES.split()), "$A {eos_token} {language}", "$A $B {eos_token} {language}")


def _pieces_of_50(config: ConfigReader) -> SentencePieces:
    """That of mBART-50 (Tang et al. 2020, https://arxiv.org/abs/2008.00401): the language precedes the text."""
    languages = (*_LANGUAGES.split(), *_MORE_LANGUAGES.split())
    return _with_languages(languages, "{language} $A {eos_token}", "{language} $A $B {eos_token}")


def _with_languages(codes: tuple[str, ...], single: str, pair: str) -> SentencePieces:
    return SentencePieces(
        special=FAIRSEQ_TOKENS,
        single=single,
        pair=pair,
        languages=Languages(codes=codes, default="en_XX"),
        file="sentencepiece.bpe.model",
        stands=True,
        pieces=lambda own: fairseq_pieces(own, *codes, "<mask>"),
    )


def _architecture(config: ConfigReader) -> ModelConfig:
    model = read_model(config, head=read_head(config), position_offset=2, pre_norm=True, final_norm=True)
    # Texts end with their language, and the decoder begins with it: no single token starts them all.
    return replace(model, starts_with_last=True)


FAMILY = Family(
    model_types={"mbart": "MBart"},
    tokenizers={"MBartTokenizer": _pieces, "MBart50Tokenizer": _pieces_of_50},
    architecture=_architecture,
    config=model_config,
    weights=model_rules,
)
