"""What detectors learn from and answer, and DETR's form of it against transformers' own post-processing."""

import pytest
import torch
from quintet.pipelines.models.detections import Detections, Targets, pad_targets, queries
from quintet.pipelines.models.shapes import IGNORED


def test_objects_are_padded_to_the_largest_number():
    boxes = [torch.tensor([[0.0, 0.0, 2.0, 2.0], [1.0, 1.0, 3.0, 3.0]]), torch.zeros(0, 4)]
    targets = pad_targets(boxes, [torch.tensor([1, 0]), torch.tensor([], dtype=torch.int64)])
    assert targets.boxes.shape == (2, 2, 4)
    assert targets.labels.tolist() == [[1, 0], [IGNORED, IGNORED]]
    assert targets.mask.tolist() == [[True, True], [False, False]]
    targets.check(2, num_labels=2)


def test_targets_that_do_not_fit_are_told():
    targets = pad_targets([torch.tensor([[0.0, 0.0, 2.0, 2.0]])], [torch.tensor([5])])
    with pytest.raises(ValueError, match="target labels run from 5 to 5, expected class ids from 0 to 2"):
        targets.check(1, num_labels=3)
    with pytest.raises(ValueError, match=r"target boxes has shape \(1, 1, 4\), expected \(2, objects, 4\)"):
        targets.check(2, num_labels=9)
    flat = Targets(torch.tensor([[[3.0, 1.0, 3.0, 5.0]]]), torch.tensor([[0]]))
    with pytest.raises(ValueError, match=r"a target box is \[3.0, 1.0, 3.0, 5.0\], expected x1, y1, x2, y2 with x1 < "):
        flat.check(1, num_labels=1)


def test_transformers_reads_the_queries_back():
    from transformers.models.detr.image_processing_pil_detr import DetrImageProcessorPil

    found = [
        Detections(
            torch.tensor([[0.0, 16.0, 32.0, 64.0], [8.0, 8.0, 16.0, 16.0], [1.0, 1.0, 2.0, 2.0]]),
            torch.tensor([1.0, 0.75, 0.001]),
            torch.tensor([2, 0, 1]),
        ),
        Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64)),
    ]
    logits, boxes = queries(found, torch.tensor([[64, 128], [32, 64]]), number=4, num_labels=3)
    assert logits.shape == (2, 4, 4) and boxes.shape == (2, 4, 4)

    class Outputs:
        pass

    outputs = Outputs()
    outputs.logits, outputs.pred_boxes = logits, boxes
    first, second = DetrImageProcessorPil().post_process_object_detection(
        outputs, threshold=0.5, target_sizes=torch.tensor([[640, 320], [10, 10]])
    )
    assert first["scores"].tolist() == pytest.approx([1.0, 0.75], abs=1e-5)
    assert first["labels"].tolist() == [2, 0]
    # 128 x 64 pixels of the input are 320 x 640 of the picture
    assert first["boxes"].tolist() == [[0.0, 160.0, 80.0, 640.0], [20.0, 80.0, 40.0, 160.0]]
    assert len(second["scores"]) == 0
    low = DetrImageProcessorPil().post_process_object_detection(outputs, threshold=0.0)[0]
    assert low["scores"].tolist() == pytest.approx([1.0, 0.75, 0.001], abs=1e-5)


def test_the_surest_are_taken_where_there_are_too_many():
    found = Detections(torch.rand(5, 4), torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5]), torch.zeros(5, dtype=torch.int64))
    logits, _ = queries([found], torch.tensor([[32, 32]]), number=2, num_labels=1)
    assert logits.softmax(-1)[0, :, 0].tolist() == pytest.approx([0.9, 0.8])
