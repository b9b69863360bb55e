import java.io.FileInputStream;
import org.verapdf.gf.foundry.VeraGreenfieldFoundryProvider;
import org.verapdf.pdfa.Foundries;
import org.verapdf.pdfa.PDFAParser;
import org.verapdf.pdfa.flavours.PDFAFlavour;
import org.verapdf.pdfa.results.TestAssertion;
import org.verapdf.pdfa.results.ValidationResult;

/** Holds PDF files against PDF/UA-1 with veraPDF; a line for each, and for each rule that is broken. */
public class Check {
    public static void main(String[] files) throws Exception {
        VeraGreenfieldFoundryProvider.initialise();
        boolean good = true;
        for (String file : files) {
            try (PDFAParser parser = Foundries.defaultInstance().createParser(new FileInputStream(file), PDFAFlavour.PDFUA_1)) {
                ValidationResult found =
                    Foundries.defaultInstance().createValidator(PDFAFlavour.PDFUA_1, false).validate(parser);
                good &= found.isCompliant();
                System.out.println(file + ": " + (found.isCompliant() ? "PDF/UA-1" : "not PDF/UA-1") + ", "
                    + found.getTotalAssertions() + " checks");
                for (TestAssertion each : found.getTestAssertions()) {
                    if (each.getStatus() == TestAssertion.Status.FAILED) {
                        System.out.println("  " + each.getRuleId() + " " + each.getMessage());
                    }
                }
            }
        }
        System.exit(good ? 0 : 1);
    }
}
