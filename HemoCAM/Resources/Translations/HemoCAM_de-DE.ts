<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de-DE" sourcelanguage="en">
<context>
    <name>HemoCAM</name>
    <message>
        <source>HemoCAM</source>
        <translation>HemoCAM</translation>
    </message>
    <message>
        <source>Class activation maps of a hemorrhage classifier on head CT: where did the model look, and was it right? Research software, not for clinical use.</source>
        <translation>Klassenaktivierungskarten (CAM) eines Blutungsklassifikators im Schädel-CT: Wohin hat das Modell geschaut, und lag es richtig? Forschungssoftware, nicht für den klinischen Einsatz.</translation>
    </message>
    <message>
        <source>After Rafati et al., Benchmarking Class Activation Map Methods for Explainable Brain Hemorrhage Classification on Hemorica Dataset, 2025 (arXiv 2508.17699).</source>
        <translation>Nach Rafati et al., Benchmarking Class Activation Map Methods for Explainable Brain Hemorrhage Classification on Hemorica Dataset, 2025 (arXiv 2508.17699).</translation>
    </message>
    <message>
        <source>A map shows where the model looked, not where blood is.</source>
        <translation>Eine Karte zeigt, wohin das Modell geschaut hat, nicht, wo Blut ist.</translation>
    </message>
    <message>
        <source>Research software - not for clinical use</source>
        <translation>Forschungssoftware – nicht für den klinischen Einsatz</translation>
    </message>
    <message>
        <source>Inputs</source>
        <translation>Eingaben</translation>
    </message>
    <message>
        <source>Head CT:</source>
        <translation>Schädel-CT:</translation>
    </message>
    <message>
        <source>The head CT to analyse, without contrast, in Hounsfield units. Any orientation and tilt; it is read and never changed.</source>
        <translation>Das zu untersuchende Schädel-CT, ohne Kontrastmittel, in Hounsfield-Einheiten. Jede Lage und Kippung ist möglich; es wird nur gelesen, nie verändert.</translation>
    </message>
    <message>
        <source>Reference:</source>
        <translation>Referenz:</translation>
    </message>
    <message>
        <source>Optional: a segmentation of the hemorrhage, drawn by a reader, to compare the mask with. Nothing of it enters the analysis.</source>
        <translation>Freiwillig: eine Segmentierung der Blutung von Leserhand, mit der die Maske verglichen wird. In die Analyse geht nichts davon ein.</translation>
    </message>
    <message>
        <source>Segment:</source>
        <translation>Segment:</translation>
    </message>
    <message>
        <source>The segment of the reference that is the hemorrhage</source>
        <translation>Das Segment der Referenz, das die Blutung ist</translation>
    </message>
    <message>
        <source>Model</source>
        <translation>Modell</translation>
    </message>
    <message>
        <source>Model:</source>
        <translation>Modell:</translation>
    </message>
    <message>
        <source>The classifier whose view is explained: one that comes with HemoCAM, or a folder of your own with model.json and weights.safetensors</source>
        <translation>Der Klassifikator, dessen Blick erklärt wird: einer, der mit HemoCAM kommt, oder ein eigener Ordner mit model.json und weights.safetensors</translation>
    </message>
    <message>
        <source>What the model was trained on, how well it does, and where it fails. Read it before you trust a map.</source>
        <translation>Woran das Modell gelernt hat, wie gut es ist und wo es versagt. Lesen Sie das, bevor Sie einer Karte trauen.</translation>
    </message>
    <message>
        <source>Card...</source>
        <translation>Steckbrief...</translation>
    </message>
    <message>
        <source>Folder:</source>
        <translation>Ordner:</translation>
    </message>
    <message>
        <source>A folder with model.json and weights.safetensors</source>
        <translation>Ein Ordner mit model.json und weights.safetensors</translation>
    </message>
    <message>
        <source>Explanation</source>
        <translation>Erklärung</translation>
    </message>
    <message>
        <source>Method:</source>
        <translation>Verfahren:</translation>
    </message>
    <message>
        <source>How the map is computed from the network. HiResCAM shows what the network used, cell by cell; AblationCAM and ScoreCAM run the network once a channel and take minutes.</source>
        <translation>Wie die Karte aus dem Netz berechnet wird. HiResCAM zeigt Zelle für Zelle, was das Netz verwendet hat; AblationCAM und ScoreCAM rechnen das Netz für jeden Kanal einmal durch und brauchen Minuten.</translation>
    </message>
    <message>
        <source>Stage:</source>
        <translation>Stufe:</translation>
    </message>
    <message>
        <source>Which stage of the network is looked at. Late stages know what they see but blur where; early stages are sharp and know little.</source>
        <translation>Welche Stufe des Netzes betrachtet wird. Späte Stufen wissen, was sie sehen, aber nur ungefähr, wo; frühe sind scharf und wissen wenig.</translation>
    </message>
    <message>
        <source>As the model's card recommends</source>
        <translation>Wie im Steckbrief des Modells empfohlen</translation>
    </message>
    <message>
        <source>Explain:</source>
        <translation>Erklärt wird:</translation>
    </message>
    <message>
        <source>The class whose score the map explains. "any" is any intracranial hemorrhage.</source>
        <translation>Die Klasse, deren Bewertung die Karte erklärt. „any“ ist jede intrakranielle Blutung.</translation>
    </message>
    <message>
        <source>Advanced</source>
        <translation>Erweitert</translation>
    </message>
    <message>
        <source>Device:</source>
        <translation>Gerät:</translation>
    </message>
    <message>
        <source>Where the network runs. Automatic takes an NVIDIA GPU where there is one. The maps are the same but for rounding.</source>
        <translation>Wo das Netz rechnet. Automatisch nimmt eine NVIDIA-GPU, wenn es eine gibt. Die Karten sind bis auf Rundung dieselben.</translation>
    </message>
    <message>
        <source>Scale:</source>
        <translation>Skala:</translation>
    </message>
    <message>
        <source>What a full colour stands for. One scale for the volume keeps strong and weak slices apart; "each slice by itself" lights up slices without any finding as brightly as one with a large bleed.</source>
        <translation>Wofür die volle Farbe steht. Eine Skala für das ganze Volumen hält starke und schwache Schichten auseinander; „jede Schicht für sich“ lässt Schichten ohne Befund so hell leuchten wie eine mit großer Blutung.</translation>
    </message>
    <message>
        <source>Choose a head CT first.</source>
        <translation>Wählen Sie zuerst ein Schädel-CT.</translation>
    </message>
    <message>
        <source>Apply</source>
        <translation>Anwenden</translation>
    </message>
    <message>
        <source>Where the analysis stands. The rest of Slicer can be used meanwhile.</source>
        <translation>Wie weit die Analyse ist. Das übrige Slicer lässt sich währenddessen benutzen.</translation>
    </message>
    <message>
        <source>Display</source>
        <translation>Anzeige</translation>
    </message>
    <message>
        <source>Opacity:</source>
        <translation>Deckkraft:</translation>
    </message>
    <message>
        <source>How strongly the heat map covers the CT in the slice views</source>
        <translation>Wie stark die Wärmekarte das CT in den Schichtansichten überdeckt</translation>
    </message>
    <message>
        <source>Take gate and threshold from the model's card, where they were tuned for this method and stage. Moving a slider takes them into your own hand.</source>
        <translation>Tor und Schwelle aus dem Steckbrief des Modells nehmen, wo sie auf Verfahren und Stufe abgestimmt sind. Wer einen Regler bewegt, nimmt sie selbst in die Hand.</translation>
    </message>
    <message>
        <source>Gate and threshold as the model's card recommends</source>
        <translation>Tor und Schwelle wie im Steckbrief des Modells empfohlen</translation>
    </message>
    <message>
        <source>Gate:</source>
        <translation>Tor:</translation>
    </message>
    <message>
        <source>Slices below this probability show no map. A map is always somewhere; the gate keeps slices without a finding dark.</source>
        <translation>Schichten unter dieser Wahrscheinlichkeit zeigen keine Karte. Eine Karte leuchtet immer irgendwo; das Tor hält Schichten ohne Befund dunkel.</translation>
    </message>
    <message>
        <source>Threshold:</source>
        <translation>Schwelle:</translation>
    </message>
    <message>
        <source>The mask is where the heat map reaches this value. It follows at once; nothing is computed again.</source>
        <translation>Die Maske ist, wo die Wärmekarte diesen Wert erreicht. Sie folgt sofort; nichts wird neu berechnet.</translation>
    </message>
    <message>
        <source>Colors:</source>
        <translation>Farben:</translation>
    </message>
    <message>
        <source>Colours of the heat map, the lighter the higher</source>
        <translation>Farben der Wärmekarte, je heller, desto höher</translation>
    </message>
    <message>
        <source>Show the outline of the thresholded map</source>
        <translation>Den Umriss der Karte über der Schwelle zeigen</translation>
    </message>
    <message>
        <source>Show the mask</source>
        <translation>Maske zeigen</translation>
    </message>
    <message>
        <source>Results</source>
        <translation>Ergebnisse</translation>
    </message>
    <message>
        <source>No results for this volume yet.</source>
        <translation>Für dieses Volumen gibt es noch keine Ergebnisse.</translation>
    </message>
    <message>
        <source>The slices, those with the highest probability first. Click one: all slice views go there.</source>
        <translation>Die Schichten, die mit der höchsten Wahrscheinlichkeit zuerst. Ein Klick: alle Schichtansichten gehen dorthin.</translation>
    </message>
    <message>
        <source>How the mask agrees with the reference segment</source>
        <translation>Wie die Maske mit dem Referenzsegment übereinstimmt</translation>
    </message>
    <message>
        <source>Show the probability along the head as a plot beside the slice views</source>
        <translation>Die Wahrscheinlichkeit entlang des Kopfes als Kurve neben den Schichtansichten zeigen</translation>
    </message>
    <message>
        <source>Show curve</source>
        <translation>Kurve zeigen</translation>
    </message>
    <message>
        <source>Correct the mask by hand in Segment Editor, over this CT</source>
        <translation>Die Maske im Segment Editor von Hand verbessern, über diesem CT</translation>
    </message>
    <message>
        <source>Send to Segment Editor</source>
        <translation>An den Segment Editor</translation>
    </message>
    <message>
        <source>Write maps, mask, tables and a picture into a folder: the files of "hemocam run"</source>
        <translation>Karten, Maske, Tabellen und ein Bild in einen Ordner schreiben: die Dateien von „hemocam run“</translation>
    </message>
    <message>
        <source>Export...</source>
        <translation>Exportieren...</translation>
    </message>
</context>
<context>
    <name>panel.actions</name>
    <message>
        <source>There are no results for this volume yet; press Apply.</source>
        <translation>Für dieses Volumen gibt es noch keine Ergebnisse; drücken Sie Anwenden.</translation>
    </message>
    <message>
        <source>The mask was deleted; press Apply to make it again.</source>
        <translation>Die Maske wurde gelöscht; drücken Sie Anwenden, um sie neu zu machen.</translation>
    </message>
    <message>
        <source>The analysis is running.</source>
        <translation>Die Analyse läuft.</translation>
    </message>
    <message>
        <source>Folder for the results</source>
        <translation>Ordner für die Ergebnisse</translation>
    </message>
    <message>
        <source>{count} files written to {folder}.</source>
        <translation>{count} Dateien nach {folder} geschrieben.</translation>
    </message>
    <message>
        <source>The results could not be written ({error}); see the Python console.</source>
        <translation>Die Ergebnisse ließen sich nicht schreiben ({error}); Näheres steht in der Python-Konsole.</translation>
    </message>
</context>
<context>
    <name>panel.applying</name>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message>
        <source>Stop the analysis; the scene stays as it is.</source>
        <translation>Die Analyse anhalten; die Szene bleibt, wie sie ist.</translation>
    </message>
    <message>
        <source>Apply</source>
        <translation>Anwenden</translation>
    </message>
    <message>
        <source>The analysis could not start ({error}).</source>
        <translation>Die Analyse konnte nicht beginnen ({error}).</translation>
    </message>
    <message>
        <source>Cancelled: the volume was removed from the scene.</source>
        <translation>Abgebrochen: Das Volumen wurde aus der Szene entfernt.</translation>
    </message>
    <message>
        <source>Analyse this CT with the choices above. What the network gave for this volume is kept: another method, stage or class computes only what is missing, and replaces the results of this volume.</source>
        <translation>Dieses CT mit der Auswahl oben analysieren. Was das Netz für dieses Volumen ergab, wird aufbewahrt: Ein anderes Verfahren, eine andere Stufe oder Klasse berechnet nur, was fehlt, und ersetzt die Ergebnisse dieses Volumens.</translation>
    </message>
    <message>
        <source>Analyse this CT: classify its slices, and show where the model looked. Takes seconds to minutes; the volume itself is not changed.</source>
        <translation>Dieses CT analysieren: seine Schichten klassifizieren und zeigen, wohin das Modell geschaut hat. Das dauert Sekunden bis Minuten; das Volumen selbst wird nicht verändert.</translation>
    </message>
</context>
<context>
    <name>panel.ct_node</name>
    <message>
        <source>Choose a head CT first.</source>
        <translation>Wählen Sie zuerst ein Schädel-CT.</translation>
    </message>
    <message>
        <source>This volume is a map that HemoCAM made; choose the CT itself.</source>
        <translation>Dieses Volumen ist eine Karte, die HemoCAM gemacht hat; wählen Sie das CT selbst.</translation>
    </message>
    <message>
        <source>This is a label map; choose the CT itself.</source>
        <translation>Das ist eine Labelkarte; wählen Sie das CT selbst.</translation>
    </message>
    <message>
        <source>This volume is empty; choose one with voxels.</source>
        <translation>Dieses Volumen ist leer; wählen Sie eines mit Voxeln.</translation>
    </message>
</context>
<context>
    <name>panel.display</name>
    <message>
        <source>There are no results for this volume yet; press Apply.</source>
        <translation>Für dieses Volumen gibt es noch keine Ergebnisse; drücken Sie Anwenden.</translation>
    </message>
    <message>
        <source>The analysis is running.</source>
        <translation>Die Analyse läuft.</translation>
    </message>
    <message>
        <source>The heat map was deleted; press Apply to make it again.</source>
        <translation>Die Wärmekarte wurde gelöscht; drücken Sie Anwenden, um sie neu zu machen.</translation>
    </message>
    <message>
        <source>The mask was deleted; press Apply to make it again.</source>
        <translation>Die Maske wurde gelöscht; drücken Sie Anwenden, um sie neu zu machen.</translation>
    </message>
    <message>
        <source>The model's card recommends it; press Apply, or take it into your own hand above.</source>
        <translation>Der Steckbrief des Modells empfiehlt ihn; drücken Sie Anwenden, oder nehmen Sie ihn oben selbst in die Hand.</translation>
    </message>
    <message>
        <source>The mask was changed by hand, which another threshold would undo; press Apply for a new mask.</source>
        <translation>Die Maske wurde von Hand geändert, was eine andere Schwelle zunichtemachen würde; drücken Sie Anwenden für eine neue Maske.</translation>
    </message>
    <message>
        <source>The mask is refined now: the map joined with the HU. Moving this slider replaces it by where the heat map reaches the value; the box above brings the refined mask back.</source>
        <translation>Die Maske ist jetzt verfeinert: die Karte, verbunden mit den HU. Wer diesen Regler bewegt, ersetzt sie durch die Voxel, wo die Wärmekarte den Wert erreicht; das Kästchen oben bringt die verfeinerte Maske zurück.</translation>
    </message>
    <message>
        <source>The network's output for this volume is no longer in memory; press Apply to compute it again.</source>
        <translation>Was das Netz für dieses Volumen ergab, ist nicht mehr im Speicher; drücken Sie Anwenden, um es neu zu berechnen.</translation>
    </message>
    <message>
        <source>The gate could not be changed; press Apply.</source>
        <translation>Das Tor ließ sich nicht ändern; drücken Sie Anwenden.</translation>
    </message>
    <message>
        <source>Press Apply to go back to the recommended gate and threshold.</source>
        <translation>Drücken Sie Anwenden, um zu den empfohlenen Werten für Tor und Schwelle zurückzukehren.</translation>
    </message>
</context>
<context>
    <name>panel.exporting</name>
    <message>
        <source>The results cannot be written to '{folder}' ({reason}); choose another folder.</source>
        <translation>Die Ergebnisse lassen sich nicht nach „{folder}“ schreiben ({reason}); wählen Sie einen anderen Ordner.</translation>
    </message>
    <message>
        <source>Without {names}: the analysis is no longer in memory; press Apply to have them.</source>
        <translation>Ohne {names}: Die Analyse ist nicht mehr im Speicher; drücken Sie Anwenden, um sie zu bekommen.</translation>
    </message>
    <message>
        <source>Without review.png: the package matplotlib is not installed.</source>
        <translation>Ohne review.png: Das Paket matplotlib ist nicht installiert.</translation>
    </message>
</context>
<context>
    <name>panel.following</name>
    <message>
        <source>The volume was moved for good; its results lie where it was. Press Apply to make them again.</source>
        <translation>Das Volumen wurde endgültig verschoben; seine Ergebnisse liegen, wo es war. Drücken Sie Anwenden, um sie neu zu machen.</translation>
    </message>
</context>
<context>
    <name>panel.inputs</name>
    <message>
        <source>The analysis is running; cancel it to choose another volume.</source>
        <translation>Die Analyse läuft; brechen Sie sie ab, um ein anderes Volumen zu wählen.</translation>
    </message>
    <message>
        <source>Choose a reference segmentation first.</source>
        <translation>Wählen Sie zuerst eine Segmentierung als Referenz.</translation>
    </message>
    <message>
        <source>The reference has no segment; draw one in Segment Editor.</source>
        <translation>Die Referenz hat kein Segment; zeichnen Sie eines im Segment Editor.</translation>
    </message>
</context>
<context>
    <name>panel.model_section</name>
    <message>
        <source>A folder of your own...</source>
        <translation>Eigener Ordner...</translation>
    </message>
    <message>
        <source>The analysis is running; cancel it to choose something else.</source>
        <translation>Die Analyse läuft; brechen Sie sie ab, um etwas anderes zu wählen.</translation>
    </message>
    <message>
        <source>Model card: {name}</source>
        <translation>Steckbrief des Modells: {name}</translation>
    </message>
    <message>
        <source>Choose the model's folder first.</source>
        <translation>Wählen Sie zuerst den Ordner des Modells.</translation>
    </message>
    <message>
        <source>As the model's card recommends ({target})</source>
        <translation>Wie im Steckbrief des Modells empfohlen ({target})</translation>
    </message>
    <message>
        <source>{target} (not in this model)</source>
        <translation>{target} (nicht in diesem Modell)</translation>
    </message>
</context>
<context>
    <name>panel.packages_dialog</name>
    <message>
        <source>The installation was stopped; what Slicer had is unchanged.</source>
        <translation>Die Installation wurde angehalten; was Slicer hatte, ist unverändert.</translation>
    </message>
    <message>
        <source>The packages could not be installed ({error}); see the Python console.</source>
        <translation>Die Pakete ließen sich nicht installieren ({error}); Näheres steht in der Python-Konsole.</translation>
    </message>
    <message>
        <source>{sentence}

Restart Slicer now? Save your work first.</source>
        <translation>{sentence}

Slicer jetzt neu starten? Speichern Sie vorher Ihre Arbeit.</translation>
    </message>
</context>
<context>
    <name>panel.parameters</name>
    <message>
        <source>As the model's card recommends</source>
        <translation>Wie im Steckbrief des Modells empfohlen</translation>
    </message>
    <message>
        <source>Automatic</source>
        <translation>Automatisch</translation>
    </message>
    <message>
        <source>Processor (CPU)</source>
        <translation>Prozessor (CPU)</translation>
    </message>
    <message>
        <source>NVIDIA GPU (CUDA)</source>
        <translation>NVIDIA-GPU (CUDA)</translation>
    </message>
    <message>
        <source>One scale, gated slices only</source>
        <translation>Eine Skala, nur Schichten durch das Tor</translation>
    </message>
    <message>
        <source>One scale, all slices</source>
        <translation>Eine Skala, alle Schichten</translation>
    </message>
    <message>
        <source>Each slice by itself (pytorch-grad-cam)</source>
        <translation>Jede Schicht für sich (pytorch-grad-cam)</translation>
    </message>
</context>
<context>
    <name>panel.results</name>
    <message>
        <source>No results for this volume yet.</source>
        <translation>Für dieses Volumen gibt es noch keine Ergebnisse.</translation>
    </message>
    <message>
        <source>map</source>
        <translation>Karte</translation>
    </message>
    <message>
        <source>interpolated</source>
        <translation>interpoliert</translation>
    </message>
    <message>
        <source>There are no results for this volume yet; press Apply.</source>
        <translation>Für dieses Volumen gibt es noch keine Ergebnisse; drücken Sie Anwenden.</translation>
    </message>
    <message>
        <source>The curve was deleted; press Apply.</source>
        <translation>Die Kurve wurde gelöscht; drücken Sie Anwenden.</translation>
    </message>
    <message>
        <source>Slice</source>
        <translation>Schicht</translation>
    </message>
    <message>
        <source>Position (mm)</source>
        <translation>Lage (mm)</translation>
    </message>
    <message>
        <source>P({target})</source>
        <translation>P({target})</translation>
    </message>
    <message>
        <source>Shown</source>
        <translation>Gezeigt</translation>
    </message>
    <message>
        <source>Mask: {ml:.1f} ml.</source>
        <translation>Maske: {ml:.1f} ml.</translation>
    </message>
    <message>
        <source>HemoCAM's segment of the mask was deleted; press Apply to make it again.</source>
        <translation>Das Segment von HemoCAM in der Maske wurde gelöscht; drücken Sie Anwenden, um es neu zu machen.</translation>
    </message>
    <message>
        <source>By {method} at stage {stage}, {model}</source>
        <translation>Mit {method} auf Stufe {stage}, {model}</translation>
    </message>
    <message>
        <source>what speaks against the class</source>
        <translation>was gegen die Klasse spricht</translation>
    </message>
    <message>
        <source>The mask changed; it is compared again in a moment.</source>
        <translation>Die Maske hat sich geändert; sie wird gleich neu verglichen.</translation>
    </message>
    <message>
        <source>Of an earlier mask; choose the reference again to compare this one:</source>
        <translation>Von einer früheren Maske; wählen Sie die Referenz erneut, um diese zu vergleichen:</translation>
    </message>
    <message>
        <source>Compared with the reference by {who}:</source>
        <translation>Verglichen mit der Referenz, gemessen von {who}:</translation>
    </message>
    <message>
        <source>Choose a reference segmentation to compare the mask with it.</source>
        <translation>Wählen Sie eine Segmentierung als Referenz, um die Maske damit zu vergleichen.</translation>
    </message>
    <message>
        <source>Measure</source>
        <translation>Maß</translation>
    </message>
    <message>
        <source>Value</source>
        <translation>Wert</translation>
    </message>
    <message>
        <source>The comparison failed; see the Python console.</source>
        <translation>Der Vergleich ist fehlgeschlagen; Näheres steht in der Python-Konsole.</translation>
    </message>
</context>
<context>
    <name>panel.run</name>
    <message>
        <source>Checking the volume</source>
        <translation>Das Volumen wird geprüft</translation>
    </message>
    <message>
        <source>Adding the results to the scene</source>
        <translation>Die Ergebnisse kommen in die Szene</translation>
    </message>
</context>
<context>
    <name>panel.running</name>
    <message>
        <source>Cancelled; the scene is as it was.</source>
        <translation>Abgebrochen; die Szene ist, wie sie war.</translation>
    </message>
    <message>
        <source>The analysis failed ({error}); see the Python console.</source>
        <translation>Die Analyse ist fehlgeschlagen ({error}); Näheres steht in der Python-Konsole.</translation>
    </message>
    <message>
        <source>about a second left</source>
        <translation>noch etwa eine Sekunde</translation>
    </message>
    <message>
        <source>about {count} s left</source>
        <translation>noch etwa {count} s</translation>
    </message>
    <message>
        <source>about {count} min left</source>
        <translation>noch etwa {count} min</translation>
    </message>
</context>
<context>
    <name>panel.shown</name>
    <message>
        <source>The table of slices was deleted or lost columns; press Apply to make it again.</source>
        <translation>Die Tabelle der Schichten wurde gelöscht oder hat Spalten verloren; drücken Sie Anwenden, um sie neu zu machen.</translation>
    </message>
    <message>
        <source>{target}: highest probability {p:.2f}, at slice {slice}; {count} of {total} slices pass the gate.</source>
        <translation>{target}: höchste Wahrscheinlichkeit {p:.2f}, in Schicht {slice}; {count} von {total} Schichten kommen durch das Tor.</translation>
    </message>
</context>
<context>
    <name>panel.work</name>
    <message>
        <source>The volume was changed or removed while it was analysed; press Apply again.</source>
        <translation>Das Volumen wurde während der Analyse geändert oder entfernt; drücken Sie erneut Anwenden.</translation>
    </message>
    <message>
        <source>The reference '{name}' has no segment; draw one, or choose another reference.</source>
        <translation>Die Referenz „{name}“ hat kein Segment; zeichnen Sie eines, oder wählen Sie eine andere Referenz.</translation>
    </message>
    <message>
        <source>The reference '{name}' has no segment '{segment}'; choose one of its segments.</source>
        <translation>Die Referenz „{name}“ hat kein Segment „{segment}“; wählen Sie eines ihrer Segmente.</translation>
    </message>
</context>
</TS>
