"""What a card says about an architecture: its name in a sentence, its paper, and whether its code is Quintet's own."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Architecture:
    """A row of the table.

    Attributes:
        phrase: with its article, to stand in a sentence.
        key: of the BibTeX entry.
        title: of the paper.
        authors: as BibTeX has them.
        year: of the paper.
        venue: where it was published, as a BibTeX field: ``journal``, ``booktitle``.
        arxiv: number of the preprint; empty where there is none.
        is_own: whether plain transformers needs the modeling files that lie beside the weights.
    """

    phrase: str
    key: str
    title: str
    authors: str
    year: int
    venue: tuple[str, str]
    arxiv: str = ""
    is_own: bool = False

    @property
    def bibtex(self) -> str:
        """The paper as a BibTeX entry."""
        kind = "article" if self.venue[0] == "journal" else "inproceedings"
        lines = [f"title = {{{self.title}}}", f"author = {{{self.authors}}}", f"year = {{{self.year}}}"]
        lines.append(f"{self.venue[0]} = {{{self.venue[1]}}}")
        if self.arxiv:
            lines += [f"eprint = {{{self.arxiv}}}", "archiveprefix = {arXiv}"]
        return f"@{kind}{{{self.key},\n" + "".join(f"  {line},\n" for line in lines) + "}"


NAACL_2019 = "Proceedings of NAACL-HLT 2019"

_BERT = Architecture(
    "a BERT encoder",
    "devlin2019bert",
    "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding",
    "Devlin, Jacob and Chang, Ming-Wei and Lee, Kenton and Toutanova, Kristina",
    2019,
    ("booktitle", NAACL_2019),
    "1810.04805",
)

_TRANSFORMER_SEQ2SEQ = Architecture(
    "a Transformer encoder and decoder",
    "vaswani2017attention",
    "Attention Is All You Need",
    "Vaswani, Ashish and Shazeer, Noam and Parmar, Niki and Uszkoreit, Jakob and Jones, Llion and Gomez, Aidan N. and "
    "Kaiser, Łukasz and Polosukhin, Illia",
    2017,
    ("booktitle", "Advances in Neural Information Processing Systems 30"),
    "1706.03762",
)

_GPT2 = Architecture(
    "a GPT-2 decoder",
    "radford2019language",
    "Language Models are Unsupervised Multitask Learners",
    "Radford, Alec and Wu, Jeffrey and Child, Rewon and Luan, David and Amodei, Dario and Sutskever, Ilya",
    2019,
    ("journal", "OpenAI technical report"),
)

_VGG = Architecture(
    "a convolutional network (VGG)",
    "simonyan2014very",
    "Very Deep Convolutional Networks for Large-Scale Image Recognition",
    "Simonyan, Karen and Zisserman, Andrew",
    2014,
    ("journal", "arXiv preprint"),
    "1409.1556",
    is_own=True,
)

_RESNET = Architecture(
    "a residual convolutional network (ResNet)",
    "he2015deep",
    "Deep Residual Learning for Image Recognition",
    "He, Kaiming and Zhang, Xiangyu and Ren, Shaoqing and Sun, Jian",
    2015,
    ("journal", "arXiv preprint"),
    "1512.03385",
)

_VIT = Architecture(
    "a vision Transformer (ViT)",
    "dosovitskiy2020image",
    "An Image Is Worth 16x16 Words: Transformers for Image Recognition at Scale",
    "Dosovitskiy, Alexey and Beyer, Lucas and Kolesnikov, Alexander and Weissenborn, Dirk and Zhai, Xiaohua and "
    "Unterthiner, Thomas and Dehghani, Mostafa and Minderer, Matthias and Heigold, Georg and Gelly, Sylvain and "
    "Uszkoreit, Jakob and Houlsby, Neil",
    2020,
    ("journal", "arXiv preprint"),
    "2010.11929",
)

ARCHITECTURES = {
    "rnn": Architecture(
        "a recurrent network (Elman)",
        "elman1990finding",
        "Finding Structure in Time",
        "Elman, Jeffrey L.",
        1990,
        ("journal", "Cognitive Science 14(2)"),
        is_own=True,
    ),
    "lstm": Architecture(
        "an LSTM",
        "hochreiter1997long",
        "Long Short-Term Memory",
        "Hochreiter, Sepp and Schmidhuber, Jürgen",
        1997,
        ("journal", "Neural Computation 9(8)"),
        is_own=True,
    ),
    "gru": Architecture(
        "a network of gated recurrent units (GRU)",
        "cho2014learning",
        "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation",
        "Cho, Kyunghyun and van Merriënboer, Bart and Gulcehre, Caglar and Bahdanau, Dzmitry and Bougares, Fethi and "
        "Schwenk, Holger and Bengio, Yoshua",
        2014,
        ("booktitle", "Proceedings of EMNLP 2014"),
        "1406.1078",
        is_own=True,
    ),
    "textcnn": Architecture(
        "a convolutional network over word vectors (TextCNN)",
        "kim2014convolutional",
        "Convolutional Neural Networks for Sentence Classification",
        "Kim, Yoon",
        2014,
        ("booktitle", "Proceedings of EMNLP 2014"),
        "1408.5882",
        is_own=True,
    ),
    "transformer": Architecture(
        "a Transformer encoder",
        "vaswani2017attention",
        "Attention Is All You Need",
        "Vaswani, Ashish and Shazeer, Noam and Parmar, Niki and Uszkoreit, Jakob and Jones, Llion and Gomez, Aidan N. "
        "and Kaiser, Łukasz and Polosukhin, Illia",
        2017,
        ("booktitle", "Advances in Neural Information Processing Systems 30"),
        "1706.03762",
        is_own=True,
    ),
    "bilstm-crf": Architecture(
        "a bidirectional LSTM over words and their bytes with a conditional random field (BiLSTM-CRF)",
        "lample2016neural",
        "Neural Architectures for Named Entity Recognition",
        "Lample, Guillaume and Ballesteros, Miguel and Subramanian, Sandeep and Kawakami, Kazuya and Dyer, Chris",
        2016,
        ("booktitle", "Proceedings of NAACL-HLT 2016"),
        "1603.01360",
        is_own=True,
    ),
    "bidaf": Architecture(
        "a network of bidirectional attention flow (BiDAF)",
        "seo2017bidirectional",
        "Bidirectional Attention Flow for Machine Comprehension",
        "Seo, Minjoon and Kembhavi, Aniruddha and Farhadi, Ali and Hajishirzi, Hannaneh",
        2017,
        ("booktitle", "Proceedings of ICLR 2017"),
        "1611.01603",
        is_own=True,
    ),
    "lstm-lm": Architecture(
        "an LSTM language model",
        "zaremba2014recurrent",
        "Recurrent Neural Network Regularization",
        "Zaremba, Wojciech and Sutskever, Ilya and Vinyals, Oriol",
        2014,
        ("journal", "arXiv preprint"),
        "1409.2329",
        is_own=True,
    ),
    "gru-lm": Architecture(
        "a language model of gated recurrent units (GRU)",
        "merity2017regularizing",
        "Regularizing and Optimizing LSTM Language Models",
        "Merity, Stephen and Keskar, Nitish Shirish and Socher, Richard",
        2017,
        ("journal", "arXiv preprint"),
        "1708.02182",
        is_own=True,
    ),
    "transformer-seq2seq": _TRANSFORMER_SEQ2SEQ,
    "pegasus": _TRANSFORMER_SEQ2SEQ,
    "lstm-seq2seq": Architecture(
        "an LSTM encoder and decoder with attention",
        "bahdanau2015neural",
        "Neural Machine Translation by Jointly Learning to Align and Translate",
        "Bahdanau, Dzmitry and Cho, Kyunghyun and Bengio, Yoshua",
        2015,
        ("booktitle", "Proceedings of ICLR 2015"),
        "1409.0473",
        is_own=True,
    ),
    "gpt2": _GPT2,
    "gpt2-mini": _GPT2,
    "bert": _BERT,
    "bert-tiny": _BERT,
    "bert-mini": _BERT,
    "bert-small": _BERT,
    "distilbert": Architecture(
        "a DistilBERT encoder",
        "sanh2019distilbert",
        "DistilBERT, a distilled version of BERT: smaller, faster, cheaper and lighter",
        "Sanh, Victor and Debut, Lysandre and Chaumond, Julien and Wolf, Thomas",
        2019,
        ("booktitle", "NeurIPS 2019 Workshop on Energy Efficient Machine Learning and Cognitive Computing"),
        "1910.01108",
    ),
    "roberta": Architecture(
        "a RoBERTa encoder",
        "liu2019roberta",
        "RoBERTa: A Robustly Optimized BERT Pretraining Approach",
        "Liu, Yinhan and Ott, Myle and Goyal, Naman and Du, Jingfei and Joshi, Mandar and Chen, Danqi and Levy, Omer "
        "and Lewis, Mike and Zettlemoyer, Luke and Stoyanov, Veselin",
        2019,
        ("journal", "arXiv preprint"),
        "1907.11692",
    ),
    "xlm-roberta": Architecture(
        "an XLM-RoBERTa encoder",
        "conneau2020unsupervised",
        "Unsupervised Cross-lingual Representation Learning at Scale",
        "Conneau, Alexis and Khandelwal, Kartikay and Goyal, Naman and Chaudhary, Vishrav and Wenzek, Guillaume and "
        "Guzmán, Francisco and Grave, Edouard and Ott, Myle and Zettlemoyer, Luke and Stoyanov, Veselin",
        2020,
        ("booktitle", "Proceedings of ACL 2020"),
        "1911.02116",
    ),
    "albert": Architecture(
        "an ALBERT encoder",
        "lan2020albert",
        "ALBERT: A Lite BERT for Self-supervised Learning of Language Representations",
        "Lan, Zhenzhong and Chen, Mingda and Goodman, Sebastian and Gimpel, Kevin and Sharma, Piyush and Soricut, Radu",
        2020,
        ("booktitle", "Proceedings of ICLR 2020"),
        "1909.11942",
    ),
    "electra": Architecture(
        "an ELECTRA encoder",
        "clark2020electra",
        "ELECTRA: Pre-training Text Encoders as Discriminators Rather Than Generators",
        "Clark, Kevin and Luong, Minh-Thang and Le, Quoc V. and Manning, Christopher D.",
        2020,
        ("booktitle", "Proceedings of ICLR 2020"),
        "2003.10555",
    ),
    "deberta-v2": Architecture(
        "a DeBERTa encoder",
        "he2021deberta",
        "DeBERTa: Decoding-enhanced BERT with Disentangled Attention",
        "He, Pengcheng and Liu, Xiaodong and Gao, Jianfeng and Chen, Weizhu",
        2021,
        ("booktitle", "Proceedings of ICLR 2021"),
        "2006.03654",
    ),
    "lenet5": Architecture(
        "a convolutional network (LeNet-5)",
        "lecun1998gradient",
        "Gradient-Based Learning Applied to Document Recognition",
        "LeCun, Yann and Bottou, Léon and Bengio, Yoshua and Haffner, Patrick",
        1998,
        ("journal", "Proceedings of the IEEE 86(11)"),
        is_own=True,
    ),
    "alexnet": Architecture(
        "a convolutional network (AlexNet)",
        "krizhevsky2012imagenet",
        "ImageNet Classification with Deep Convolutional Neural Networks",
        "Krizhevsky, Alex and Sutskever, Ilya and Hinton, Geoffrey E.",
        2012,
        ("booktitle", "Advances in Neural Information Processing Systems 25"),
        is_own=True,
    ),
    **{f"vgg{depth}": _VGG for depth in (9, 11, 13, 16, 19)},
    **{f"resnet-{depth}": replace(_RESNET, is_own=True) for depth in (20, 32, 44, 56, 110)},
    **dict.fromkeys(("resnet", "resnet-18", "resnet-50"), _RESNET),
    **dict.fromkeys(("vit", "vit-tiny"), _VIT),
    "deit": Architecture(
        "a vision Transformer (DeiT)",
        "touvron2021training",
        "Training Data-efficient Image Transformers & Distillation through Attention",
        "Touvron, Hugo and Cord, Matthieu and Douze, Matthijs and Massa, Francisco and Sablayrolles, Alexandre and "
        "Jégou, Hervé",
        2021,
        ("booktitle", "Proceedings of ICML 2021"),
        "2012.12877",
    ),
    "convnext": Architecture(
        "a convolutional network (ConvNeXt)",
        "liu2022convnet",
        "A ConvNet for the 2020s",
        "Liu, Zhuang and Mao, Hanzi and Wu, Chao-Yuan and Feichtenhofer, Christoph and Darrell, Trevor and Xie, "
        "Saining",
        2022,
        ("booktitle", "Proceedings of CVPR 2022"),
        "2201.03545",
    ),
    "swin": Architecture(
        "a vision Transformer with shifted windows (Swin)",
        "liu2021swin",
        "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows",
        "Liu, Ze and Lin, Yutong and Cao, Yue and Hu, Han and Wei, Yixuan and Zhang, Zheng and Lin, Stephen and Guo, "
        "Baining",
        2021,
        ("booktitle", "Proceedings of ICCV 2021"),
        "2103.14030",
    ),
    "beit": Architecture(
        "a vision Transformer (BEiT)",
        "bao2022beit",
        "BEiT: BERT Pre-Training of Image Transformers",
        "Bao, Hangbo and Dong, Li and Piao, Songhao and Wei, Furu",
        2022,
        ("booktitle", "Proceedings of ICLR 2022"),
        "2106.08254",
    ),
    "mobilenet_v2": Architecture(
        "a convolutional network (MobileNetV2)",
        "sandler2018mobilenetv2",
        "MobileNetV2: Inverted Residuals and Linear Bottlenecks",
        "Sandler, Mark and Howard, Andrew and Zhu, Menglong and Zhmoginov, Andrey and Chen, Liang-Chieh",
        2018,
        ("booktitle", "Proceedings of CVPR 2018"),
        "1801.04381",
    ),
    "regnet": Architecture(
        "a convolutional network (RegNet)",
        "radosavovic2020designing",
        "Designing Network Design Spaces",
        "Radosavovic, Ilija and Kosaraju, Raj Prateek and Girshick, Ross and He, Kaiming and Dollár, Piotr",
        2020,
        ("booktitle", "Proceedings of CVPR 2020"),
        "2003.13678",
    ),
    "yolo-small": Architecture(
        "a convolutional detector of one stage",
        "redmon2016you",
        "You Only Look Once: Unified, Real-Time Object Detection",
        "Redmon, Joseph and Divvala, Santosh and Girshick, Ross and Farhadi, Ali",
        2016,
        ("booktitle", "Proceedings of CVPR 2016"),
        "1506.02640",
        is_own=True,
    ),
    "faster-rcnn-small": Architecture(
        "a convolutional detector of two stages (Faster R-CNN)",
        "ren2015faster",
        "Faster R-CNN: Towards Real-Time Object Detection with Region Proposal Networks",
        "Ren, Shaoqing and He, Kaiming and Girshick, Ross and Sun, Jian",
        2015,
        ("booktitle", "Advances in Neural Information Processing Systems 28"),
        "1506.01497",
        is_own=True,
    ),
    "unet": Architecture(
        "a convolutional encoder and decoder (U-Net)",
        "ronneberger2015unet",
        "U-Net: Convolutional Networks for Biomedical Image Segmentation",
        "Ronneberger, Olaf and Fischer, Philipp and Brox, Thomas",
        2015,
        ("booktitle", "Proceedings of MICCAI 2015"),
        "1505.04597",
        is_own=True,
    ),
}
"""By `RunFacts.family`: every family of ``quintet models``, and encoders that are often fine-tuned."""

DISTILLATION = Architecture(
    "",
    "tang2019distilling",
    "Distilling Task-Specific Knowledge from BERT into Simple Neural Networks",
    "Tang, Raphael and Lu, Yao and Liu, Linqing and Mou, Lili and Vechtomova, Olga and Lin, Jimmy",
    2019,
    ("journal", "arXiv preprint"),
    "1903.12136",
)
"""What a run with ``--teacher`` follows."""


CHOSEN_TOGETHER = frozenset({"bilstm-crf"})
"""Families that choose the tags of a text together, which plain transformers does not do."""


def find_architecture(family: str | None) -> Architecture | None:
    """The row of a family or a model type; None for one that the table does not have."""
    return ARCHITECTURES.get(family or "")


def is_own_family(family: str | None) -> bool:
    """Whether the network is Quintet's own, so that plain transformers runs the code beside the weights."""
    found = find_architecture(family)
    return found.is_own if found is not None else (family or "").startswith("quintet-")
