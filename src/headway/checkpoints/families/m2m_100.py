"""M2M-100 (Fan et al. 2021, https://arxiv.org/abs/2010.11125) and NLLB (2022, https://arxiv.org/abs/2207.04672)."""

from headway.checkpoints.config_reader import ConfigReader
from headway.checkpoints.families.bart import model_config, model_rules, read_model
from headway.checkpoints.family import Family
from headway.checkpoints.rules import Drop
from headway.models.config import ModelConfig
from headway.tokenizers.formats.base import FAIRSEQ_TOKENS, Languages
from headway.tokenizers.formats.sentencepiece import SentencePieces, SentencePiecesWithIds, fairseq_pieces

__all__ = ["FAMILY"]


def _architecture(config: ConfigReader) -> ModelConfig:
    return read_model(
        config.assuming(vocab_size=128112, scale_embedding=True, activation_function="relu", attention_dropout=0.1),
        logits_bias=False,
        positions="sinusoidal_inclusive",
        position_offset=config.index("pad_token_id", 1) + 1,
        pre_norm=True,
        final_norm=True,
        embedding_norm=False,
    )


_M2M_LANGUAGES = """
    af am ar ast az ba be bg bn br bs ca ceb cs cy da de el en es et fa ff fi fr fy ga gd gl gu ha he hi hr ht hu hy
    id ig ilo is it ja jv ka kk km kn ko lb lg ln lo lt lv mg mk ml mn mr ms my ne nl no ns oc or pa pl ps pt ro ru
    sd si sk sl so sq sr ss su sv sw ta th tl tn tr uk ur uz vi wo xh yi yo zh zu
"""
_WMT21_LANGUAGES = """
    en ha is ja cs ru zh de
"""
_NLLB_LANGUAGES = """
    ace_Arab ace_Latn acm_Arab acq_Arab aeb_Arab afr_Latn ajp_Arab aka_Latn amh_Ethi apc_Arab arb_Arab ars_Arab
    ary_Arab arz_Arab asm_Beng ast_Latn awa_Deva ayr_Latn azb_Arab azj_Latn bak_Cyrl bam_Latn ban_Latn bel_Cyrl
    bem_Latn ben_Beng bho_Deva bjn_Arab bjn_Latn bod_Tibt bos_Latn bug_Latn bul_Cyrl cat_Latn ceb_Latn ces_Latn
    cjk_Latn ckb_Arab crh_Latn cym_Latn dan_Latn deu_Latn dik_Latn dyu_Latn dzo_Tibt ell_Grek eng_Latn epo_Latn
    est_Latn eus_Latn ewe_Latn fao_Latn pes_Arab fij_Latn fin_Latn fon_Latn fra_Latn fur_Latn fuv_Latn gla_Latn
    gle_Latn glg_Latn grn_Latn guj_Gujr hat_Latn hau_Latn heb_Hebr hin_Deva hne_Deva hrv_Latn hun_Latn hye_Armn
    ibo_Latn ilo_Latn ind_Latn isl_Latn ita_Latn jav_Latn jpn_Jpan kab_Latn kac_Latn kam_Latn kan_Knda kas_Arab
    kas_Deva kat_Geor knc_Arab knc_Latn kaz_Cyrl kbp_Latn kea_Latn khm_Khmr kik_Latn kin_Latn kir_Cyrl kmb_Latn
    kon_Latn kor_Hang kmr_Latn lao_Laoo lvs_Latn lij_Latn lim_Latn lin_Latn lit_Latn lmo_Latn ltg_Latn ltz_Latn
    lua_Latn lug_Latn luo_Latn lus_Latn mag_Deva mai_Deva mal_Mlym mar_Deva min_Latn mkd_Cyrl plt_Latn mlt_Latn
    mni_Beng khk_Cyrl mos_Latn mri_Latn zsm_Latn mya_Mymr nld_Latn nno_Latn nob_Latn npi_Deva nso_Latn nus_Latn
    nya_Latn oci_Latn gaz_Latn ory_Orya pag_Latn pan_Guru pap_Latn pol_Latn por_Latn prs_Arab pbt_Arab quy_Latn
    ron_Latn run_Latn rus_Cyrl sag_Latn san_Deva sat_Beng scn_Latn shn_Mymr sin_Sinh slk_Latn slv_Latn smo_Latn
    sna_Latn snd_Arab som_Latn sot_Latn spa_Latn als_Latn srd_Latn srp_Cyrl ssw_Latn sun_Latn swe_Latn swh_Latn
    szl_Latn tam_Taml tat_Cyrl tel_Telu tgk_Cyrl tgl_Latn tha_Thai tir_Ethi taq_Latn taq_Tfng tpi_Latn tsn_Latn
    tso_Latn tuk_Latn tum_Latn tur_Latn twi_Latn tzm_Tfng uig_Arab ukr_Cyrl umb_Latn urd_Arab uzn_Latn vec_Latn
    vie_Latn war_Latn wol_Latn xho_Latn ydd_Hebr yor_Latn yue_Hant zho_Hans zho_Hant zul_Latn
"""


def _hundred_languages(config: ConfigReader) -> SentencePiecesWithIds:
    """M2M-100's tokenizer: the ids of the languages follow those of `vocab.json`."""
    codes = config.choice("language_codes", "m2m100", {"m2m100": _M2M_LANGUAGES, "wmt21": _WMT21_LANGUAGES})
    config.require("sp_model_kwargs", {}, "the same text would not always be tokenised in the same way")
    return SentencePiecesWithIds(
        special={role: token for role, token in FAIRSEQ_TOKENS.items() if role not in ("cls_token", "mask_token")},
        single="{language} $A {eos_token}",
        languages=Languages(codes=tuple(codes.split()), default="en", token="__{language}__"),
        source="sentencepiece.bpe.model",
        target="sentencepiece.bpe.model",
    )


def _two_hundred_languages(config: ConfigReader) -> SentencePieces:
    """NLLB's tokenizer; its first checkpoints were trained with the language after the text."""
    behind = config.flag("legacy_behaviour", False)
    codes = tuple(_NLLB_LANGUAGES.split())
    return SentencePieces(
        special=FAIRSEQ_TOKENS,
        single="$A {eos_token} {language}" if behind else "{language} $A {eos_token}",
        pair="$A $B {eos_token} {language}" if behind else "{language} $A $B {eos_token}",
        languages=Languages(codes=codes, default="eng_Latn"),
        file="sentencepiece.bpe.model",
        stands=True,
        pieces=lambda own: fairseq_pieces(own, *codes, "<mask>"),
    )


FAMILY = Family(
    model_types={"m2m_100": "M2M100"},
    tokenizers={"M2M100Tokenizer": _hundred_languages, "NllbTokenizer": _two_hundred_languages},
    architecture=_architecture,
    config=model_config,
    # Sinusoids need no weights; some checkpoints hold them anyway.
    weights=lambda architecture: (Drop("model.{stack}.embed_positions"), *model_rules(architecture)),
)
